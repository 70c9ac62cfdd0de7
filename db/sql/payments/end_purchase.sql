-- payments.end_purchase: a purchase that was to be paid by hand is over unpaid: `canceled`, or `expired` if its time has passed.
-- Answers whether it was this that ended it. Guarantees: its redemption is another's again in the same statement.
-- Locks: the caller holds the workspace; then the purchase, the redemption, the accounts of code and campaign.
-- Callers: payments' routines
create or replace function payments.end_purchase(id uuid, to_state text, caused_by text)
  returns boolean
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_parked boolean;
begin
  update payments.purchase p set state = end_purchase.to_state, ended_at = ops.now(), parked_until = null
   where p.id = end_purchase.id and p.provider = 'manual' and p.state = 'pending'
     and (end_purchase.to_state <> 'expired' or p.expires_at <= ops.now())
  returning old.parked_until is not null into v_parked;
  if not found then
    return false;
  end if;
  perform payments.release_redemption(end_purchase.id, end_purchase.caused_by);
  if v_parked then
    perform ops.unpark('purchases_expire', end_purchase.id::text);
  end if;
  return true;
end
$$;
