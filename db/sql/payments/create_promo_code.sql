-- payments.create_promo_code: a promo code: `percent` off, or `amounts_minor[i]` off in `currencies[i]` (of a percentage, null: in all);
-- `kinds` of purchases that it is for (null: all). It is kept in upper case: a person types it in any.
-- Guarantees: an audit row in the same statement. Refuses: campaign_unknown, promo_exists; constraints promo_code_*.
-- Callers: worker
create or replace function payments.create_promo_code(
  inout code text,
  inout campaign_id uuid,
  inout percent integer,
  inout currencies text[],
  inout amounts_minor bigint[],
  inout kinds text[],
  inout max_redemptions bigint,
  inout per_workspace integer,
  inout starts_at timestamptz,
  inout ends_at timestamptz,
  caused_by text,
  out id uuid,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  create_promo_code.code := upper(btrim(create_promo_code.code));
  if create_promo_code.campaign_id is not null
    and not exists (select from payments.campaign g where g.id = create_promo_code.campaign_id) then
    perform ops.refuse('campaign_unknown');
  end if;
  create_promo_code.id := uuidv7();
  create_promo_code.created_at := ops.now();
  insert into payments.promo_code
    (id, campaign_id, code, percent, currencies, amounts_minor, kinds, max_redemptions, per_workspace, starts_at, ends_at, created_at)
  values
    (create_promo_code.id, create_promo_code.campaign_id, create_promo_code.code, create_promo_code.percent,
     create_promo_code.currencies, create_promo_code.amounts_minor, create_promo_code.kinds, create_promo_code.max_redemptions,
     create_promo_code.per_workspace, create_promo_code.starts_at, create_promo_code.ends_at, create_promo_code.created_at)
  on conflict on constraint promo_code_once do nothing;
  if not found then
    perform ops.refuse('promo_exists');
  end if;
  if create_promo_code.max_redemptions is not null then
    perform ledger.set_limit(create_promo_code.id, 'redemption', create_promo_code.max_redemptions,
      'tg:promo:' || create_promo_code.id, create_promo_code.caused_by);
  end if;
  perform ops.record_change(
    workspace_id => null, actor => create_promo_code.caused_by, action => 'promo_code.create',
    subject => 'promo_code:' || create_promo_code.id,
    detail => jsonb_build_object('code', create_promo_code.code, 'campaign_id', create_promo_code.campaign_id,
      'percent', create_promo_code.percent, 'currencies', create_promo_code.currencies,
      'amounts_minor', create_promo_code.amounts_minor, 'kinds', create_promo_code.kinds,
      'max_redemptions', create_promo_code.max_redemptions, 'per_workspace', create_promo_code.per_workspace,
      'starts_at', create_promo_code.starts_at, 'ends_at', create_promo_code.ends_at));
end
$$;
