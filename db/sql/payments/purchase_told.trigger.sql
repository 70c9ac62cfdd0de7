-- payments.purchase_told: each new state of a purchase is told to the operator's endpoints, in the statement of the change.
create or replace trigger purchase_told
  after update on payments.purchase
  for each row
  when (old.state is distinct from new.state)
  execute function payments.tell_purchase();
