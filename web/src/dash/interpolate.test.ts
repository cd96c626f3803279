import { expect, test } from 'vitest';
import { addMatchers } from './adhoc';
import { fill, roundInterval, type Scope } from './interpolate';
import type { Dashboard } from './model';

const variable = (name: string, more: object = {}) => ({ name, type: 'query', multi: false, includeAll: false, allValue: '', autoCount: 30, autoMin: 10, ...more });
const board = { title: 'B', uid: 'u', timezone: '', variables: [variable('one'), variable('many', { multi: true }), variable('all', { multi: true, includeAll: true }), variable('every', { includeAll: true, allValue: '.*' }), variable('iv', { type: 'interval' })] } as unknown as Dashboard;
const chosen = (values: string[], options = values) => ({ values, texts: values.map((v) => v.toUpperCase()), options: options.map((v) => ({ text: v, value: v })) });
const scope: Scope = { one: chosen(['a.b']), many: chosen(['a.b', 'c']), all: chosen(['$__all'], ['$__all', 'x', 'y+']), every: chosen(['$__all']), iv: chosen(['$__auto_interval_iv']) };
const times = { from: 1_700_000_000, to: 1_700_003_600, step: 30, interval: 15 };
const q = (text: string): string => fill(text, board, scope, times);

test('one value goes in as it is, several as a regular expression', () => {
  expect(q('x{a="$one"}')).toBe('x{a="a.b"}');
  expect(q('x{a=~"$many"}')).toBe('x{a=~"(a\\\\.b|c)"}');
  expect(q('x{a=~"${all}"} [[all]]')).toBe('x{a=~"(x|y\\\\+)"} (x|y\\\\+)');
  expect(q('$every')).toBe('.*');
  expect(q('$nothing ${nothing} $1')).toBe('$nothing ${nothing} $1');
});

test('formats', () => {
  const want: Record<string, string> = {
    pipe: 'a.b|c', csv: 'a.b,c', raw: 'a.b,c', regex: '(a\\.b|c)', glob: '{a.b,c}', json: '["a.b","c"]', doublequote: '"a.b","c"', singlequote: "'a.b','c'", sqlstring: "'a.b','c'", distributed: 'a.b,many=c',
    queryparam: 'var-many=a.b&var-many=c', percentencode: '%7Ba.b%2Cc%7D', text: 'A.B + C', lucene: '("a.b" OR "c")', html: 'a.b, c',
  };
  for (const [format, text] of Object.entries(want)) expect(q(`\${many:${format}}`), format).toBe(text);
  expect(q('${one:json} ${one:regex} ${one.text} ${one:text}')).toBe('a.b a\\.b A.B A.B');
  // A variable that may have several values is a list, also with one of them.
  const single: Scope = { many: chosen(['a']) };
  const of = (text: string): string => fill(text, board, single, times);
  expect([of('${many:json}'), of('${many:percentencode}'), of('${many:lucene}'), of('${many:glob}'), of('${many:regex}')]).toEqual(['["a"]', '%7Ba%7D', '("a")', 'a', 'a']);
  expect(q('${all:queryparam} ${every:percentencode} ${many:join:-} ${many:customqueryparam:p:x-} ${one:nosuch}')).toBe('var-all=%24__all .%2A a.b-c p=x-a.b&p=x-c a.b');
});

test('built-in names', () => {
  expect(q('$__interval $__interval_ms $__rate_interval $__range $__range_s')).toBe('30s 30000 1m 1h 3600');
  expect(q('${__from} ${__to:date:seconds} ${__from:date:iso}')).toBe('1700000000000 1700003600 2023-11-14T22:13:20.000Z');
  expect(q('rate(x[$iv])')).toBe('rate(x[2m])');
  expect(q('${DS_PROMETHEUS}')).toBe('vedette');
});

test('a repeat has its own value, escaped like a choice', () => {
  expect(fill('x{a=~"$many"}', board, scope, times, 'query', { many: 'p.q' })).toBe('x{a=~"p\\\\.q"}');
  expect(fill('$many', board, scope, times, 'text', { many: 'p.q' })).toBe('p.q');
  expect(fill('${__field.labels.job}', board, scope, times, 'text', { '__field.labels.job': 'n' })).toBe('n');
  expect(fill('${__field.labels["a b"]} ${__data.fields[0]} ${__data.fields.x.text}', board, scope, times, 'text', { '__field.labels.a b': 'n', '__data.fields.0': 'z', '__data.fields.x.text': 't' })).toBe('n z t');
});

test('values are text: nothing in them is read again', () => {
  expect(fill('$one', board, { one: chosen(['$many']) }, times)).toBe('$many');
});

test('intervals are the ones that people read', () => {
  expect([3600 / 500, 21_600 / 800, 86_400 / 1000, 0.2, 604_800 / 1000].map(roundInterval)).toEqual([5, 30, 60, 0.2, 600]);
});

test('ad hoc filters reach every selector and nothing else', () => {
  const f = [{ key: 'env', operator: '=', value: 'a"b' }];
  const m = '{env="a\\"b"}';
  expect(addMatchers('up', f)).toBe(`up${m}`);
  expect(addMatchers('sum by (job) (rate(x{a="up"}[5m])) / on(job) group_left(up) y', f)).toBe(`sum by (job) (rate(x{a="up",env="a\\"b"}[5m])) / on(job) group_left(up) y${m}`);
  expect(addMatchers('sum(foo) by (bar) or vector(1) > bool 0', f)).toBe(`sum(foo${m}) by (bar) or vector(1) > bool 0`);
  expect(addMatchers('{__name__="x"} offset 5m # up', f)).toBe('{__name__="x",env="a\\"b"} offset 5m # up');
  expect(addMatchers('label_replace(up, "a", "$1", "b", "(.*)")', f)).toBe(`label_replace(up${m}, "a", "$1", "b", "(.*)")`);
});
