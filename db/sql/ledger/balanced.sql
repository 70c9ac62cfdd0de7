-- ledger.balanced: do a transaction's entries sum to zero, each with a known side and an amount other than zero?
-- Sides of the account: available (of a lot), held, debt (paying debt is positive). Far sides: issued, spent, expired,
-- taken_back, adjusted; of money: payments, revenue, refund, promo, referral. Only what may have found nothing to move (reset, limit, reverse) has no entries.
-- Callers: ledger.refuse_unbalanced
create or replace function ledger.balanced(kind text, sides text[], lots uuid[], amounts bigint[])
  returns boolean
  language plpgsql immutable security definer set search_path = ''
as $$
declare
  v_count integer := cardinality(balanced.amounts);
  v_total numeric := 0;
begin
  if cardinality(balanced.sides) <> v_count or cardinality(balanced.lots) <> v_count
    or v_count = 0 and balanced.kind not in ('reset', 'limit', 'reverse') then
    return false;
  end if;
  for i in 1 .. v_count loop
    if coalesce(balanced.amounts[i], 0) = 0
      or balanced.sides[i] is null
      or balanced.sides[i] not in ('available', 'held', 'debt', 'issued', 'spent', 'expired', 'taken_back', 'adjusted', 'payments',
        'revenue', 'refund', 'promo', 'referral')
      or (balanced.sides[i] = 'available' and balanced.lots[i] is null) then
      return false;
    end if;
    v_total := v_total + balanced.amounts[i];
  end loop;
  return v_total = 0;
end
$$;
