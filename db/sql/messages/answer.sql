-- messages.answer: its receiver has done what a message asks, and said so itself: one that is being sent was delivered, one that waits
-- or could not be sent need not be (canceled). Guarantees: answered again, or of a message that is no longer kept, it changes nothing.
-- Locks: the message. Callers: access.confirm
create or replace function messages.answer(channel text, dedupe_key text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_message record;
begin
  update messages.outbox o
     set state = case o.state when 'sending' then 'delivered' else 'canceled' end,
         due_at = null, lease_token = null, leased_until = null, settled_at = ops.now()
   where o.channel = answer.channel and o.dedupe_key = answer.dedupe_key and o.state in ('queued', 'sending', 'dead')
  returning o.id, old.state into v_message;
  if found and v_message.state = 'dead' then
    perform ops.close_alarm('message_dead', v_message.id::text);
  end if;
end
$$;
