-- billing.second_of: an instant of a provider's, told in seconds since 1970; null for null.
-- Callers: routines that read facts
create or replace function billing.second_of(fact jsonb, member text)
  returns timestamptz
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return to_timestamp((second_of.fact ->> second_of.member)::double precision);
end
$$;
