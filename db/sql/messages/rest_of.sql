-- messages.rest_of: for how long a channel or an endpoint is left alone after so many failures in a row: not before the fifth, then a minute,
-- two, four, … half an hour; and for as long as it asked. Null: it is not. Callers: messages.channel_failed, messages.endpoint_failed
create or replace function messages.rest_of(failures integer, retry_after interval)
  returns interval
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return greatest(rest_of.retry_after, case when rest_of.failures >= 5 then
    least(interval '30 minutes', interval '1 minute' * power(2, least(rest_of.failures, 30) - 5)) end);
end
$$;
