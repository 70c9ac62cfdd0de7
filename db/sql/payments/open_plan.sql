-- payments.open_plan: the workspace's purchase of a plan that is open, if it is the one that is wished for; null: none is open.
-- One by hand whose time has passed is over, whether or not the sweep came.
-- Refuses: checkout_open (another one is: its id, url, expires_at). Locks: the caller holds the workspace; then the purchase.
-- Callers: payments.start_checkout, payments.start_purchase, payments.buy_from_balance
create or replace function payments.open_plan(
  workspace_id uuid,
  provider text,
  price_id uuid,
  quantity integer,
  promo_code text,
  collection text,
  auto_renew boolean,
  caused_by text
)
  returns uuid
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_open record;
begin
  select p.id, p.provider, p.price_id, p.quantity, c.code, coalesce(p.collection, 'stripe') as collection, p.auto_renew, p.url,
         p.expires_at
    into v_open
    from payments.purchase p
    left join payments.promo_code c on c.id = p.promo_code_id
   where p.workspace_id = open_plan.workspace_id and p.kind = 'subscription' and p.state = 'pending';
  if not found or payments.end_purchase(v_open.id, 'expired', open_plan.caused_by) then
    return null;
  end if;
  if (v_open.provider, v_open.price_id, v_open.quantity, v_open.code, v_open.collection, v_open.auto_renew) is distinct from
    (open_plan.provider, open_plan.price_id, open_plan.quantity, upper(btrim(open_plan.promo_code)), open_plan.collection,
     case when open_plan.collection = 'balance' then open_plan.auto_renew end) then
    perform ops.refuse('checkout_open',
      jsonb_build_object('id', v_open.id, 'url', v_open.url, 'expires_at', v_open.expires_at));
  end if;
  return v_open.id;
end
$$;
