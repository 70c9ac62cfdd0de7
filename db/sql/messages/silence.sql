-- messages.silence: an address takes no messages: it bounced, or its owner blocked the bot. Until a person lifts it, nothing goes
-- there. Silenced again, it stays as it is. Locks: the contact. Callers: messages.fail
create or replace function messages.silence(contact_id uuid, reason text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update messages.contact c
     set silenced_at = ops.now(), silenced_reason = left(silence.reason, 200)
   where c.id = silence.contact_id and c.silenced_at is null;
end
$$;
