-- ops.move_cursor: a pass has read down to `position`; `done`: it has read all, and the next one begins at where it began.
-- Passes at once move it back and forth, and read some twice. One that comes late, when the pass is over, moves nothing: the
-- next begins at the top.
-- Callers: worker
create or replace function ops.move_cursor(
  inout name text,
  "position" text,
  done boolean,
  out since timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update ops.cursor c
     set position = case when move_cursor.done or c.until is null then null else move_cursor.position end,
         since = case when move_cursor.done then coalesce(c.until, c.since) else c.since end,
         until = case when move_cursor.done then null else c.until end
   where c.name = move_cursor.name
  returning c.since into move_cursor.since;
end
$$;
