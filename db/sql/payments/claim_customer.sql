-- payments.claim_customer: a workspace's customer at the provider, or the right to make it: one caller at a time (B1).
-- `token` null: somebody else is making it. `search`: it was first claimed so long ago that the provider may have forgotten the
--   idempotency key: who makes it looks for it first.
-- Guarantees: one living row per workspace, by constraint. Locks: the caller holds the workspace's row; then the customer's.
-- Callers: payments.claim_checkout
create or replace function payments.claim_customer(
  workspace_id uuid,
  provider text,
  out number integer,
  out customer text,
  out token uuid,
  out search boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
  v_now timestamptz := ops.now();
begin
  select c.number, c.provider_id, c.leased_until, c.claimed_at into v_row
    from payments.customer c
   where c.workspace_id = claim_customer.workspace_id and c.provider = claim_customer.provider and c.deleted_at is null
     for no key update;
  if not found then
    insert into payments.customer as n (workspace_id, provider, number, claimed_at)
    select claim_customer.workspace_id, claim_customer.provider, coalesce(max(c.number), 0) + 1, v_now
      from payments.customer c
     where c.workspace_id = claim_customer.workspace_id and c.provider = claim_customer.provider
    returning n.number, n.provider_id, n.leased_until, n.claimed_at into v_row;
  end if;
  claim_customer.number := v_row.number;
  claim_customer.customer := v_row.provider_id;
  claim_customer.search := v_row.claimed_at <= v_now - interval '23 hours';
  if v_row.provider_id is null and (v_row.leased_until is null or v_row.leased_until <= v_now) then
    claim_customer.token := uuidv7();
    update payments.customer c
       set lease_token = claim_customer.token, leased_until = v_now + interval '30 seconds'
     where c.workspace_id = claim_customer.workspace_id and c.provider = claim_customer.provider
       and c.number = v_row.number;
  end if;
end
$$;
