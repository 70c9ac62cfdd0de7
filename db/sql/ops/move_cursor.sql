-- ops.move_cursor: the pass up to `until` has read down to `position`; `done`: it has read all, and the next one begins at where
-- it began. Whoever is on the same pass at once moves it back and forth, and reads some twice. Who comes late, when that pass is
-- over, moves nothing: what the next one has not read would be left out.
-- Callers: worker
create or replace function ops.move_cursor(
  inout name text,
  "position" text,
  done boolean,
  until timestamptz,
  out since timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update ops.cursor c
     set position = case when move_cursor.done then null else move_cursor.position end,
         since = case when move_cursor.done then c.until else c.since end,
         until = case when move_cursor.done then null else c.until end
   where c.name = move_cursor.name and c.until = move_cursor.until;
  select c.since into move_cursor.since from ops.cursor c where c.name = move_cursor.name;
end
$$;
