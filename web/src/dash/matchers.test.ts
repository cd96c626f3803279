import { expect, test } from 'vitest';
import type { Frame } from './frames';
import { compare, fieldMatcher, frameMatcher, pattern, refMatcher, valueTest } from './matchers';

const frame: Frame = {
  refId: 'A',
  name: 'first',
  fields: [
    { name: 'Time', type: 'time', values: [1, 2] },
    { name: 'Value', shown: 'rx eth0', type: 'number', values: [1, 12] },
    { name: 'up', labels: { __name__: 'up', job: 'n' }, type: 'number', values: [0, 0] },
    { name: 'host', type: 'string', values: ['a', 'b'] },
  ],
};
const hits = (id: string, options?: unknown): string[] => frame.fields.filter((f) => fieldMatcher({ id, options }, () => false)(f, frame, [frame])).map((f) => f.name);

test('an expression without slashes must be the whole name', () => {
  expect(hits('byRegexp', 'rx')).toEqual([]);
  expect(hits('byRegexp', 'rx.*')).toEqual(['Value']);
  expect(hits('byRegexp', '/eth/')).toEqual(['Value']);
  expect(hits('byRegexp', '/RX/i')).toEqual(['Value']);
  expect(hits('byRegexp', '/RX/x')).toEqual([]);
  expect(pattern('(')).toBe(null);
});

test('every matcher of fields', () => {
  expect(hits('byName', 'rx eth0')).toEqual(['Value']);
  // A metric that is its own name is what older files call "Value".
  expect(hits('byName', 'Value')).toEqual(['Value', 'up']);
  expect(hits('byName', 'time')).toEqual(['Time']);
  expect(hits('byNames', { names: ['host', 'rx eth0'] })).toEqual(['Value', 'host']);
  expect(hits('byNames', { mode: 'exclude', names: ['host', 'Time'] })).toEqual(['Value', 'up']);
  expect(hits('byRegexpOrNames', { pattern: '/^h/', names: ['rx eth0'] })).toEqual(['Value', 'host']);
  expect(hits('byType', 'string')).toEqual(['host']);
  expect(hits('byTypes', ['string', 'time'])).toEqual(['Time', 'host']);
  expect(hits('numeric')).toEqual(['Value', 'up']);
  expect(hits('time')).toEqual(['Time']);
  expect(hits('first')).toEqual(['Time']);
  expect(hits('firstTimeField')).toEqual(['Time']);
  expect(hits('byFrameRefID', 'A')).toHaveLength(4);
  expect(hits('byFrameRefID', 'B')).toEqual([]);
  expect(hits('byValue', { reducer: 'allIsZero', op: 'gte', value: 0 })).toEqual(['up']);
  expect(hits('byValue', { reducer: 'max', op: 'neq', value: 12 })).toContain('up');
  expect(hits('anyMatch', [{ id: 'byType', options: 'time' }, { id: 'byName', options: 'host' }])).toEqual(['Time', 'host']);
  expect(hits('allMatch', [{ id: 'numeric' }, { id: 'byRegexp', options: '/eth/' }])).toEqual(['Value']);
  expect(hits('invertMatch', { id: 'numeric' })).toEqual(['Time', 'host']);
  expect(hits('alwaysMatch')).toHaveLength(4);
  expect(hits('neverMatch')).toEqual([]);
  expect(hits('noSuchMatcher', 'x')).toEqual([]);
});

test('what is missing is equal to what is missing, and to nothing else', () => {
  expect([compare('eq', null, null), compare('gte', null, 0), compare('lt', undefined, 1), compare('neq', null, 1)]).toEqual([true, false, false, true]);
  expect([compare('>=', 2, 2), compare('<', 2, 2), compare('', 1, 1)]).toEqual([true, false, false]);
});

test('frames by their query, name and place', () => {
  expect(['A', 'A|B', '/a/i', 'B', 'AB'].map((o) => refMatcher(o)(frame))).toEqual([true, true, true, false, false]);
  expect(frameMatcher({ id: 'byName', options: '/fir/' })!(frame, 0)).toBe(true);
  expect(frameMatcher({ id: 'byIndex', options: 1 })!(frame, 0)).toBe(false);
  expect(frameMatcher({ id: 'else' })).toBe(null);
});

test('rows by their value: bounds are outside, null counts as zero', () => {
  const field = { name: 'v', type: 'number' as const, values: [0, 5, 10, null, NaN] };
  const rows = (config: object): number[] => field.values.map((_, i) => i).filter(valueTest(config, field));
  expect(rows({ id: 'between', options: { from: 0, to: 10 } })).toEqual([1]);
  expect(rows({ id: 'greaterOrEqual', options: { value: '5' } })).toEqual([1, 2]);
  expect(rows({ id: 'lower', options: { value: 5 } })).toEqual([0, 3]);
  expect(rows({ id: 'isNull' })).toEqual([3]);
  expect(rows({ id: 'regex', options: { value: '^1' } })).toEqual([2]);
  expect(rows({ id: 'regex', options: { value: '(' } })).toEqual([]);
  const words = { name: 'w', type: 'string' as const, values: ['Alpha', 'beta', '', null] };
  const said = (config: object): number[] => words.values.map((_, i) => i).filter(valueTest(config, words));
  expect(said({ id: 'substring', options: { value: 'A' } })).toEqual([0, 1]);
  expect(said({ id: 'notSubstring', options: { value: 'alp' } })).toEqual([1]);
  expect(said({ id: 'equal', options: { value: 'beta' } })).toEqual([1]);
});
