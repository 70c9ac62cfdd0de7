-- ledger.expire_account: closes what has expired in one account, for the sweep, which holds the account's row.
-- Callers: ledger.lots_expire
create or replace function ledger.expire_account(owner_id uuid, unit text, parked boolean)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform ledger.expire_due(expire_account.owner_id, expire_account.unit);
  if expire_account.parked then
    update ledger.account a set parked_until = null
     where a.owner_id = expire_account.owner_id and a.unit = expire_account.unit;
    perform ops.unpark('lots_expire', expire_account.owner_id || ':' || expire_account.unit);
  end if;
end
$$;
