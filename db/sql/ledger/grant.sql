-- ledger.grant: gives `amount` to an account, in a pool, optionally until `expires_at`. Debt is paid first.
-- Guarantees: once per (owner, idempotency key); a grant adds to a pool and never replaces it (A5).
-- Locks: account, then its lots. Refuses: expires_in_past, idempotency_key_expired, idempotency_key_reused;
--   balance_limit_exceeded. `payment_id` names the payment that a refund would take it back for; `side` from where it came:
--   issued, or of money payments, refund or referral; `promo` is the part of it that the house gives (side promo).
-- Callers: worker, payments' and billing's routines
create or replace function ledger.grant(
  owner_id uuid,
  unit text,
  pool text,
  amount bigint,
  expires_at timestamptz,
  reason text,
  idempotency_key text,
  caused_by text,
  payment_id uuid default null,
  side text default 'issued',
  promo bigint default 0,
  out transaction_id uuid,
  out lot_id uuid,
  out available bigint,
  out held bigint,
  out debt bigint,
  out pools text[],
  out pool_available bigint[],
  out pool_expires_at timestamptz[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_account record;
  v_lot record;
  v_sides text[] := '{}';
  v_lots uuid[] := '{}';
  v_amounts bigint[] := '{}';
begin
  v_account := ledger.lock_account("grant".owner_id, "grant".unit);
  v_lot := ledger.add_lot("grant".owner_id, "grant".unit, "grant".pool, "grant".amount, v_account.debt,
    "grant".expires_at, "grant".payment_id);
  "grant".lot_id := v_lot.lot_id;
  if "grant".amount > "grant".promo then
    v_sides := v_sides || "grant".side; v_lots := v_lots || v_lot.lot_id; v_amounts := v_amounts || ("grant".promo - "grant".amount);
  end if;
  if "grant".promo > 0 then
    v_sides := v_sides || 'promo'::text; v_lots := v_lots || v_lot.lot_id; v_amounts := v_amounts || -"grant".promo;
  end if;
  if v_lot.available > 0 then
    v_sides := v_sides || 'available'::text; v_lots := v_lots || v_lot.lot_id; v_amounts := v_amounts || v_lot.available;
  end if;
  if v_lot.debt_paid > 0 then
    v_sides := v_sides || 'debt'::text; v_lots := v_lots || v_lot.lot_id; v_amounts := v_amounts || v_lot.debt_paid;
  end if;
  "grant".transaction_id := ledger.post("grant".owner_id, "grant".unit, 'grant', "grant".amount, v_sides, v_lots,
    v_amounts, "grant".idempotency_key, "grant".caused_by, "grant".reason);

  select b.* into "grant".available, "grant".held, "grant".debt, "grant".pools, "grant".pool_available, "grant".pool_expires_at
    from ledger.balance_of("grant".owner_id, "grant".unit) b;
end
$$;
