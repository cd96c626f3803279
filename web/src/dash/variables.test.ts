import { beforeEach, expect, test, vi } from 'vitest';

const asked: string[] = [];
const replies: Record<string, unknown> = {};
vi.mock('../api/client', () => ({
  get: async (path: string, values: Record<string, string>) => {
    const key = `${path} ${values['match[]'] ?? ''}`.trim();
    asked.push(key);
    if (!(key in replies)) throw new Error(`no ${key}`);
    return { data: replies[key] };
  },
  query: async (expr: string) => {
    asked.push(expr);
    if (!(expr in replies)) throw new Error(`no ${expr}`);
    return { data: replies[expr] };
  },
}));

import { fill } from './interpolate';
import { parseDashboard } from './model';
import { ALL, inOrder, readQuery, resolve, type Scope } from './variables';

const times = { from: 1_700_000_000, to: 1_700_003_600, step: 15, interval: 15 };
const made = (list: object[], address = '', more: object = {}, known: Scope = {}, changed: string | null = null) => {
  const board = parseDashboard({ panels: [], templating: { list }, ...more });
  return resolve(board, new URLSearchParams(address), times, new AbortController().signal, known, changed).then((scope) => ({ board, scope }));
};
beforeEach(() => {
  asked.length = 0;
  for (const k of Object.keys(replies)) delete replies[k];
});

test('the functions of a query', () => {
  expect(readQuery('label_values(job)')).toEqual({ kind: 'values', label: 'job', match: '' });
  expect(readQuery(' label_values( up{a="b,c",d=~"x(y)"} , instance ) ')).toEqual({ kind: 'values', label: 'instance', match: 'up{a="b,c",d=~"x(y)"}' });
  expect(readQuery('label_values({__name__=~"a.*"}, __name__)')).toEqual({ kind: 'values', label: '__name__', match: '{__name__=~"a.*"}' });
  expect(readQuery('label_names()')).toEqual({ kind: 'names', match: '' });
  expect(readQuery('label_names(up)')).toEqual({ kind: 'names', match: 'up' });
  expect(readQuery('metrics(node_.*)')).toEqual({ kind: 'metrics', pattern: 'node_.*' });
  expect(readQuery('query_result(topk(3, sum by (job) (up)))')).toEqual({ kind: 'result', expr: 'topk(3, sum by (job) (up))' });
  expect(readQuery('up{job="a"}')).toEqual({ kind: 'series', match: 'up{job="a"}' });
});

test('queries of today are objects, whole or in parts', () => {
  const query = (q: unknown, definition?: string): string => parseDashboard({ panels: [], templating: { list: [{ name: 'v', type: 'query', query: q, definition }] } }).variables[0].query;
  expect(query({ query: 'label_values(up, job)', refId: 'StandardVariableQuery' })).toBe('label_values(up, job)');
  expect(query({ qryType: 1, label: 'job', metric: 'up', labelFilters: [{ label: 'env', op: '!=', value: 'x' }] })).toBe('label_values(up{env!="x"}, job)');
  expect(query({ qryType: 1, label: 'job' })).toBe('label_values(job)');
  expect(query({ qryType: 0 })).toBe('label_names()');
  expect(query({ qryType: 2, metric: 'node_' })).toBe('metrics(node_)');
  expect(query({ qryType: 3, varQuery: 'count(up)' })).toBe('query_result(count(up))');
  expect(query({ qryType: 4, seriesQuery: 'up' })).toBe('up');
  expect(query({}, 'label_values(job)')).toBe('label_values(job)');
});

test('each waits for what it depends on, wherever that stands', async () => {
  replies['label/job/values'] = ['a', 'b'];
  replies['label/instance/values up{job="a"}'] = ['a:1'];
  const list = [{ name: 'instance', type: 'query', query: 'label_values(up{job="$job"}, instance)' }, { name: 'job', type: 'query', query: 'label_values(job)' }];
  const { board, scope } = await made(list);
  expect(inOrder(board.variables).map((v) => v.name)).toEqual(['job', 'instance']);
  expect(scope.instance.values).toEqual(['a:1']);
  // Two that depend on each other end too.
  expect(inOrder(parseDashboard({ panels: [], templating: { list: [{ name: 'a', query: '$b' }, { name: 'b', query: '$a' }] } }).variables)).toHaveLength(2);
});

test('query_result is text with the raw value; a selector gives series, anything else is asked as PromQL', async () => {
  replies['count(up)'] = { resultType: 'vector', result: [{ metric: { __name__: 'x', a: 'b' }, value: [12, '+Inf'] }] };
  replies['series up'] = [{ __name__: 'up', job: 'n' }];
  replies['sum(up) by (job)'] = { resultType: 'scalar', result: [1, '3'] };
  const { scope } = await made([{ name: 'r', type: 'query', query: 'query_result(count(up))' }, { name: 's', type: 'query', query: 'up', regex: '/job="([^"]+)"/' }, { name: 'p', type: 'query', query: 'sum(up) by (job)' }]);
  expect(scope.r.values).toEqual(['x{a="b"} +Inf 12000']);
  expect(scope.s.values).toEqual(['n']);
  expect(scope.p.values).toEqual(['3']);
});

test('what is current: address, then file, then the first; all; by its text', async () => {
  replies['label/job/values'] = ['a', 'b', 'c'];
  const v = { name: 'j', type: 'query', query: 'label_values(job)', multi: true, includeAll: true };
  expect((await made([v], 'var-j=b&var-j=c')).scope.j.values).toEqual(['b', 'c']);
  expect((await made([v], 'var-j=All')).scope.j.values).toEqual([ALL]);
  expect((await made([v], 'var-j=$__all')).scope.j.values).toEqual([ALL]);
  expect((await made([{ ...v, current: { value: ['$__all'], text: ['All'] } }])).scope.j.values).toEqual([ALL]);
  expect((await made([{ ...v, current: { value: ['gone', 'c'] } }])).scope.j.values).toEqual(['c']);
  expect((await made([{ ...v, current: { value: 'gone' } }])).scope.j.values).toEqual([ALL]);
  expect((await made([{ ...v, multi: false, includeAll: false, current: { value: ['b', 'c'] } }])).scope.j.values).toEqual(['b']);
  // A query that fails leaves what the file remembers.
  expect((await made([{ name: 'x', type: 'query', query: 'label_values(nothing)', options: [{ text: 'old', value: 'old' }], current: { value: 'old' } }])).scope.x).toMatchObject({ values: ['old'], error: expect.stringContaining('no label') });
});

test('kinds that are not asked', async () => {
  const { board, scope } = await made([
    { name: 'c', type: 'custom', query: 'one : 1, two\\, too : 2,three' },
    { name: 'json', type: 'custom', query: '[{"text":"T","value":"v"},"w"]' },
    { name: 'old', type: 'custom', query: '', options: [{ text: 'All', value: '$__all' }, { text: 'x', value: 'x' }] },
    { name: 'iv', type: 'interval', query: '"1m",5m,1h', auto: true, auto_count: 10, auto_min: '1m', current: { text: 'auto', value: '$__auto' } },
    { name: 'k', type: 'constant', query: '${VAR_K}' },
    { name: 't', type: 'textbox', query: 'a\\.b' },
    { name: 'ds', type: 'datasource', query: 'prometheus', current: { value: 'default' } },
    { name: 'ad', type: 'adhoc', filters: [{ key: 'a', operator: '=', value: 'b|c' }] },
    { name: 'odd', type: 'switch', current: { value: 'true' } },
  ], '', { __inputs: [{ name: 'VAR_K', type: 'constant', value: 'kept' }, { name: 'PROM', type: 'datasource', pluginId: 'prometheus' }] });
  expect(scope.c.options).toEqual([{ text: 'one', value: '1' }, { text: 'two, too', value: '2' }, { text: 'three', value: 'three' }]);
  expect(scope.json.options).toEqual([{ text: 'T', value: 'v' }, { text: 'w', value: 'w' }]);
  expect(scope.old.values).toEqual(['x']);
  expect(scope.iv.options.map((o) => o.text)).toEqual(['auto', '1m', '5m', '1h']);
  expect(fill('$iv', board, scope, times)).toBe('5m');
  expect(scope.k.values).toEqual(['kept']);
  expect(scope.odd.values).toEqual(['true']);
  expect(scope.ad.values).toEqual(['a|=|b__gfp__c']);
  expect(fill('x=~"$t" ${PROM} $ds', board, scope, times)).toBe('x=~"a\\\\.b" vedette vedette');
  expect(asked).toEqual([]);
});

test('a source that is not here is not asked', async () => {
  const { scope } = await made([{ name: 'l', type: 'query', datasource: { type: 'loki', uid: 'x' }, query: 'label_values(app)', options: [{ text: 'a', value: 'a' }], current: { value: 'a' } }]);
  expect(scope.l.values).toEqual(['a']);
  expect(asked).toEqual([]);
});

test('only what depends on a change is asked again', async () => {
  Object.assign(replies, { 'label/job/values': ['a', 'b'], 'label/instance/values up{job="a"}': ['a:1'], 'label/instance/values up{job="b"}': ['b:1'], 'label/env/values': ['e'] });
  const list = [{ name: 'job', type: 'query', query: 'label_values(job)' }, { name: 'instance', type: 'query', query: 'label_values(up{job="$job"}, instance)' }, { name: 'env', type: 'query', query: 'label_values(env)' }];
  const { scope } = await made(list);
  asked.length = 0;
  const again = await made(list, 'var-job=b', {}, scope, 'job');
  expect(again.scope.instance.values).toEqual(['b:1']);
  expect(asked).not.toContain('label/env/values');
});
