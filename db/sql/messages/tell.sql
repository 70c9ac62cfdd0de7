-- messages.tell: messages.tell_many for one event. Callers: every trigger that tells an event
create or replace function messages.tell(type text, workspace_id uuid, resource text, version integer, data jsonb)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform messages.tell_many(array[tell.type], array[tell.workspace_id], array[tell.resource], array[tell.version],
    array[tell.data]);
end
$$;
