-- billing.subscription_told: what becomes of subscriptions is told to the operator's endpoints, in the statement of the change. By
-- statement and not by row: a batch of renewals where nobody listens pays for one look.
create or replace trigger subscription_told
  after update on billing.subscription
  referencing old table as old_rows new table as new_rows
  for each statement execute function billing.tell_subscriptions();
