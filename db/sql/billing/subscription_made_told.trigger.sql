-- billing.subscription_made_told: new subscriptions are told to the operator's endpoints, in the statement that makes them.
create or replace trigger subscription_made_told
  after insert on billing.subscription
  referencing new table as new_rows
  for each statement execute function billing.tell_subscriptions();
