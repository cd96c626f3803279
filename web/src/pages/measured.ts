// What a rule measures: its expression without the comparison against a number, and that number. Where the
// expression is something else (two conditions, a comparison of two things), it is all of it.
export interface Measured {
  expr: string;
  limit: number | null;
}

const NUMBER = /^[+-]?(\d[\d_]*(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

export function measured(query: string): Measured {
  const whole: Measured = { expr: query, limit: null };
  let depth = 0;
  let found: { at: number; length: number } | null = null;
  for (let i = 0; i < query.length; i++) {
    const c = query[i];
    if (c === '"' || c === "'" || c === '`') {
      for (i++; i < query.length && query[i] !== c; i++) if (query[i] === '\\' && c !== '`') i++;
    } else if (c === '#') {
      while (i < query.length && query[i] !== '\n') i++;
    } else if ('([{'.includes(c)) depth++;
    else if (')]}'.includes(c)) depth--;
    else if (depth === 0) {
      const rest = query.slice(i);
      const word = /^[A-Za-z_:][\w:.]*/.exec(rest)?.[0];
      if (word) {
        if (/^(and|or|unless)$/i.test(word)) return whole;
        i += word.length - 1;
        continue;
      }
      const operator = /^(==|!=|>=|<=|>|<)/.exec(rest)?.[0];
      if (operator) {
        if (found) return whole;
        found = { at: i, length: operator.length };
        i += operator.length - 1;
      }
    }
  }
  if (!found) return whole;
  const left = query.slice(0, found.at).trim();
  const right = query.slice(found.at + found.length).replace(/^\s*bool\b/, '').trim();
  if (NUMBER.test(right)) return { expr: left, limit: Number(right.replace(/_/g, '')) };
  if (NUMBER.test(left)) return { expr: right, limit: Number(left.replace(/_/g, '')) };
  return whole;
}
