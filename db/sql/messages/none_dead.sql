-- messages.none_dead: a dead message of this channel was sent again: where it was the last one, the channel's alarm closes.
-- Whoever has another one sent again, or buries one, at this moment waits for the alarm: what he did is seen, or he sees this.
-- Locks: the alarm. Callers: messages.retry, messages.retry_dead
create or replace function messages.none_dead(channel text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  if not ops.lock_alarm('messages_dead', none_dead.channel) then
    return;
  end if;
  -- A statement of its own: it sees what was written while the alarm was waited for.
  if not exists (select from messages.outbox o where o.channel = none_dead.channel and o.state = 'dead') then
    perform ops.close_alarm('messages_dead', none_dead.channel);
  end if;
end
$$;
