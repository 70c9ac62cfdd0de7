-- messages.tell_left: trigger function: tells the operator's endpoints that somebody has left broadcasts (contact.unsubscribed); its version is
-- how often he has. Callers: triggers
create or replace function messages.tell_left()
  returns trigger
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  if messages.listens('contact') then
    perform messages.tell('contact.unsubscribed', new.workspace_id, new.id::text, new.leavings,
      jsonb_build_object('channel', new.channel, 'left_at', ops.utc(new.left_at)));
  end if;
  return null;
end
$$;
