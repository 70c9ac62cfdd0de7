-- messages.bury: a message is dead: a person must know. Of messages to an endpoint or to people there may be thousands, so the alarm is the
-- endpoint's, or the channel's: of what cannot be written, or is refused for what it says, the next of its kind dies, too. That an address takes
-- nothing (`silenced`) is no alarm at all. Locks: the endpoint. Callers: messages.claim, messages.fail
create or replace function messages.bury(
  id uuid,
  channel text,
  kind text,
  endpoint_id uuid,
  contact_id uuid,
  error text,
  silenced boolean
)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  if bury.endpoint_id is not null then
    -- The next success closes the alarm: it looks only at those that had failed.
    update messages.endpoint e set failures = 1 where e.id = bury.endpoint_id and e.failures = 0;
    perform ops.raise_alarm('endpoint_failing', bury.endpoint_id::text, jsonb_build_object('error', bury.error));
  elsif bury.contact_id is null then
    perform ops.raise_alarm('message_dead', bury.id::text, jsonb_build_object('kind', bury.kind, 'error', bury.error));
  elsif not bury.silenced then
    perform ops.raise_alarm('messages_dead', bury.channel, jsonb_build_object('kind', bury.kind, 'error', bury.error));
  end if;
end
$$;
