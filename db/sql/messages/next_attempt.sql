-- messages.next_attempt: how long a message waits after its nth try failed; null: it was the last. To an endpoint of the operator's as
-- Standard Webhooks says (10 tries, three days); elsewhere a minute, two, four, … half a day, 14 tries, two days. A fifth more or less,
-- so that what failed together does not come again together. Callers: messages.claim, messages.fail
create or replace function messages.next_attempt(channel text, attempts integer)
  returns interval
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_schedule interval[] := '{5s,5m,30m,2h,5h,10h,14h,20h,24h}';
begin
  return (0.8 + 0.4 * random()) * case
    when next_attempt.channel = 'webhook' then v_schedule[next_attempt.attempts]
    when next_attempt.attempts < 14 then least(interval '12 hours', interval '1 minute' * power(2, next_attempt.attempts - 1))
  end;
end
$$;
