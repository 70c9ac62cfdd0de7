-- messages.channel_failed: a channel did not take a message, for a reason of its own. After five in a row, or where it asked to wait, its circuit
-- opens, under an alarm. Answers whether it is open. Locks: the channel's row. Callers: messages.fail
create or replace function messages.channel_failed(channel text, error text, retry_after interval)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
  v_now timestamptz := ops.now();
  v_row record;
begin
  insert into messages.channel as c (name, claimed_at, failures, open_until, error, changed_at)
  values (channel_failed.channel, v_now, 1, v_now + messages.rest_of(1, channel_failed.retry_after), channel_failed.error, v_now)
  on conflict (name) do update
     set failures = c.failures + 1, error = excluded.error, changed_at = v_now,
         open_until = greatest(c.open_until, v_now + messages.rest_of(c.failures + 1, channel_failed.retry_after))
  returning c.failures, c.open_until into v_row;
  if v_row.failures >= 5 then
    perform ops.raise_alarm('channel_down', channel_failed.channel,
      jsonb_build_object('failures', v_row.failures, 'error', channel_failed.error));
  end if;
  return coalesce(v_row.open_until > v_now, false);
end
$$;
