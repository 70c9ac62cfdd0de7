-- billing.subscription_lapse: whoever writes a subscription's state need not think of the end of its grace.
create or replace trigger subscription_lapse
  before insert or update on billing.subscription
  for each row
  when (new.collection <> 'balance')
  execute function billing.set_lapse();
