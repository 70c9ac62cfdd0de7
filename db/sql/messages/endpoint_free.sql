-- messages.endpoint_free: may this endpoint be sent to now? One that failed five times in a row gets one message at a time, once its
-- circuit lets it be tried. `taken`: the caller has one for it already. Null: for no endpoint. Callers: messages.claim
create or replace function messages.endpoint_free(endpoint_id uuid, taken boolean)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  return endpoint_free.endpoint_id is null or not exists (
    select from messages.endpoint e
     where e.id = endpoint_free.endpoint_id and e.failures >= 5
       and (e.open_until > ops.now() or endpoint_free.taken or exists (
         select from messages.outbox o
          where o.endpoint_id = e.id and o.state = 'sending' and o.due_at > ops.now())));
end
$$;
