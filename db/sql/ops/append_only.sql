-- ops.append_only: trigger function of tables whose rows are history: no UPDATE, DELETE or TRUNCATE, whoever asks.
-- Refuses: SQLSTATE TG002 (a fault of ours, never a client's).
-- Callers: triggers
create or replace function ops.append_only()
  returns trigger
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  raise exception using errcode = 'TG002',
    message = format('%I.%I is append-only: %s refused', tg_table_schema, tg_table_name, tg_op);
end
$$;
