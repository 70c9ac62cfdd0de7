-- messages.cancel: what a message says is no longer to be said: it is not sent any more, not again, and not by a person's retry.
-- Answers until when somebody who has claimed it may still be sending it; null: nobody is.
-- Guarantees: whoever has claimed it neither settles nor fails it any more. One that was delivered stays so; none is no fault.
-- By its key, however few messages there are: the outbox is often empty when this is planned, and full when a batch calls it.
-- Locks: the message. Callers: access.follow
create or replace function messages.cancel(channel text, dedupe_key text, out leased_until timestamptz)
  language plpgsql volatile security definer set search_path = '' set enable_seqscan = off
as $$
declare
  v_message record;
begin
  update messages.outbox o
     set state = 'canceled', due_at = null, lease_token = null, leased_until = null, settled_at = ops.now()
   where o.channel = cancel.channel and o.dedupe_key = cancel.dedupe_key and o.state in ('queued', 'sending', 'dead')
  returning o.id, old.state, old.leased_until into v_message;
  if found then
    cancel.leased_until := v_message.leased_until;
    if v_message.state = 'dead' then
      perform ops.close_alarm('message_dead', v_message.id::text);
    end if;
  end if;
end
$$;
