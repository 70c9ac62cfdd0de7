-- ledger.tell_low: trigger function, at the transaction's end: tells the operator's endpoints of an account that has fallen below
-- its mark (credits.low) and is still there: what expired and was given anew in one transaction is not low. Once for several falls in
-- one transaction: the last. Callers: triggers
create or replace function ledger.tell_low()
  returns trigger
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_account record;
begin
  if not messages.listens('credits') then
    return null;
  end if;
  select a.available, a.held, a.debt, a.low_at into v_account
    from ledger.account a
   where a.owner_id = new.owner_id and a.unit = new.unit and a.available < a.low_at and a.lows = new.lows;
  if found then
    perform messages.tell('credits.low', new.owner_id, new.owner_id::text, new.lows,
      jsonb_build_object('unit', new.unit, 'below', v_account.low_at, 'available', v_account.available, 'held', v_account.held,
        'debt', v_account.debt));
  end if;
  return null;
end
$$;
