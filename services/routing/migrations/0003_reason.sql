-- Why the decision before this one was replaced, as a code; NULL: it is the first one.
ALTER TABLE decision ADD COLUMN reason text;
