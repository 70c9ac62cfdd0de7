-- payments.purchase_made_told: a new purchase is told to the operator's endpoints, in the statement that makes it.
create or replace trigger purchase_made_told
  after insert on payments.purchase
  for each row execute function payments.tell_purchase();
