-- messages.endpoint_free: may this endpoint be sent to now? Not while its circuit is open, by failures or because it
-- asked to wait; one that failed five times in a row gets one message at a time after that. `taken`: the caller has one for it already. Null: for no endpoint. Callers: messages.claim
create or replace function messages.endpoint_free(endpoint_id uuid, taken boolean)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  return endpoint_free.endpoint_id is null or not exists (
    select from messages.endpoint e
     where e.id = endpoint_free.endpoint_id
       and (e.open_until > ops.now() or e.failures >= 5 and (endpoint_free.taken or exists (
         select from messages.outbox o
          where o.endpoint_id = e.id and o.state = 'sending' and o.due_at > ops.now()))));
end
$$;
