// What a variable may be, of what was asked for: by its regular expression, in its order.
export interface Choice {
  text: string;
  value: string;
}

export function sorted(options: Choice[], how: number): Choice[] {
  if (how === 0) return options;
  const out = options.slice();
  const digits = (t: string): number => Number(/(\d+)/.exec(t)?.[1] ?? -1);
  if (how === 1 || how === 2) out.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
  else if (how === 3 || how === 4) out.sort((a, b) => digits(a.text) - digits(b.text));
  else if (how === 5 || how === 6) out.sort((a, b) => Number(a.text.toLowerCase() > b.text.toLowerCase()) - Number(a.text.toLowerCase() < b.text.toLowerCase()));
  else out.sort((a, b) => a.text.localeCompare(b.text, undefined, { numeric: true }));
  return how % 2 === 0 ? out.reverse() : out;
}

// "/x/" looks anywhere; "x" alone must be the whole value.
function pattern(text: string): RegExp | null {
  const match = /^\/(.*)\/([gimsuy]*)$/s.exec(text);
  try {
    return match ? new RegExp(match[1], match[2]) : new RegExp(`^${text}$`);
  } catch {
    return null;
  }
}

export function filtered(values: string[], regex: string): Choice[] {
  const re = regex === '' ? null : pattern(regex);
  const out: Choice[] = [];
  const seen = new Set<string>();
  for (const v of values) {
    let found = [{ text: v, value: v }];
    if (re) {
      const matches = re.global ? [...v.matchAll(re)] : [re.exec(v)].filter((m) => m !== null);
      if (matches.length === 0) continue;
      const value = matches.find((m) => m.groups?.value)?.groups?.value;
      const text = matches.find((m) => m.groups?.text)?.groups?.text;
      const grouped = matches.filter((m) => m[1] !== undefined);
      if (value !== undefined || text !== undefined) found = [{ text: (text ?? value)!, value: (value ?? text)! }];
      else if (grouped.length > 0) found = grouped.map((m) => ({ text: m[1], value: m[1] }));
    }
    for (const one of found) {
      if (seen.has(one.value)) continue;
      seen.add(one.value);
      out.push(one);
    }
  }
  return out;
}
