-- payments.quote: what a plan, a pack or money for the balance (`topup_minor`) costs this workspace now, with a promo code or without.
-- `list_minor` is the price times the quantity; a percentage of it is rounded down; a fixed amount is at most all of it.
-- `collection` is a plan's: stripe, or balance (paid by the period). `published`: it is to be paid at the provider's own price.
-- Refuses: as billing.offer; amount_too_large (beyond 2^53 - 1, of money or of what the pack holds); promo_unknown, and as
--   payments.check_promo. Callers: worker, payments' routines
create or replace function payments.quote(
  workspace_id uuid,
  plan_code text,
  plan_number integer,
  pack_code text,
  topup_minor bigint,
  currency text,
  interval_unit text,
  interval_count integer,
  quantity integer,
  promo_code text,
  collection text,
  published boolean default false,
  out kind text,
  out plan_id uuid,
  out pack_id uuid,
  out price_id uuid,
  out price_provider_id text,
  out name text,
  out trial_days integer,
  out list_minor bigint,
  out discount_minor bigint,
  out amount_minor bigint,
  out promo_code_id uuid
)
  language plpgsql stable security definer set search_path = ''
as $$
declare
  c_most constant numeric := 9007199254740991;
  v_offer record;
  v_list numeric;
  v_promo record;
begin
  quote.trial_days := 0;
  if quote.topup_minor is null then
    v_offer := billing.offer(quote.plan_code, quote.plan_number, quote.pack_code, quote.currency, quote.interval_unit,
      quote.interval_count, quote.published);
    quote.kind := v_offer.kind;
    quote.plan_id := v_offer.plan_id;
    quote.pack_id := v_offer.pack_id;
    quote.price_id := v_offer.price_id;
    quote.price_provider_id := v_offer.price_provider_id;
    quote.name := billing.name_of(v_offer.price_id);
    -- One trial per workspace; what is paid by the period begins with a paid one.
    if quote.kind = 'subscription' and quote.collection = 'stripe'
      and not (billing.standing_of(quote.workspace_id)).had_one then
      quote.trial_days := v_offer.trial_days;
    end if;
    v_list := v_offer.amount_minor::numeric * quote.quantity;
    if billing.pack_quantity(v_offer.pack_id)::numeric * quote.quantity > c_most then
      perform ops.refuse('amount_too_large');
    end if;
  else
    quote.kind := 'balance_topup';
    quote.name := 'Balance';
    v_list := quote.topup_minor::numeric * quote.quantity;
  end if;
  if v_list > c_most then
    perform ops.refuse('amount_too_large');
  end if;
  quote.list_minor := v_list;
  quote.discount_minor := 0;
  if quote.promo_code is not null then
    select c.id, c.percent, c.amounts_minor[array_position(c.currencies, quote.currency)] as minor into v_promo
      from payments.promo_code c
     where c.code = upper(btrim(quote.promo_code));
    if not found then
      perform ops.refuse('promo_unknown');
    end if;
    perform payments.check_promo(v_promo.id, quote.workspace_id, quote.kind, quote.currency, quote.collection);
    quote.promo_code_id := v_promo.id;
    quote.discount_minor := case when v_promo.percent is not null then floor(v_list * v_promo.percent / 100)
      else least(v_list, coalesce(v_promo.minor, 0)) end;
  end if;
  quote.amount_minor := quote.list_minor - quote.discount_minor;
end
$$;
