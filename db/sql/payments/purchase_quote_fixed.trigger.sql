-- payments.purchase_quote_fixed: a pending purchase is its own quote: price, promo and currency are those that were shown.
create or replace trigger purchase_quote_fixed
  before update on payments.purchase
  for each row
  when ((old.list_minor, old.discount_minor, old.amount_minor, old.currency, old.promo_code_id, old.price_id, old.quantity)
    is distinct from
    (new.list_minor, new.discount_minor, new.amount_minor, new.currency, new.promo_code_id, new.price_id, new.quantity))
  execute function payments.refuse_requote();
