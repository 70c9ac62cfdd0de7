-- billing.shortfall: the operator's policy for a refund that takes back more than is there: debt, clamp or freeze.
-- Callers: payments.reckon, payments.reckon_reward
create or replace function billing.shortfall()
  returns text
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return (select p.shortfall from billing.policy p);
end
$$;
