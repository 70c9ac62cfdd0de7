-- payments.customers_after: a page of the customers that live here, by their ids at the provider (keyset; null: the first page).
-- Callers: worker
create or replace function payments.customers_after(
  inout provider text,
  after text,
  batch integer,
  out ids text[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  select coalesce(array_agg(page.provider_id order by page.provider_id), '{}') into customers_after.ids
    from (
      select c.provider_id from payments.customer c
       where c.provider = customers_after.provider and c.deleted_at is null and c.provider_id > coalesce(customers_after.after, '')
       order by c.provider_id
       limit customers_after.batch
    ) page;
end
$$;
