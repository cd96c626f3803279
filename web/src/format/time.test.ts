import { expect, test } from 'vitest';
import { parseRelative } from './time';

const at = (text: string): number => Date.parse(text) / 1000;
const now = at('2026-11-25T14:37:21Z'); // A Wednesday.
const iso = (text: string, up: boolean): string => new Date(Math.round(parseRelative(text, now, up, true)! * 1000)).toISOString();

test('relative times in UTC', () => {
  expect(iso('now', false)).toBe('2026-11-25T14:37:21.000Z');
  expect(iso('now-1h', false)).toBe('2026-11-25T13:37:21.000Z');
  expect(iso('now-1d+2h', false)).toBe('2026-11-24T16:37:21.000Z');
  expect(iso('now-1M', false)).toBe('2026-10-25T14:37:21.000Z');
  expect(iso('now-1y', false)).toBe('2025-11-25T14:37:21.000Z');
});

test('rounded to the unit, down for a beginning and up for an end', () => {
  expect([iso('now/d', false), iso('now/d', true)]).toEqual(['2026-11-25T00:00:00.000Z', '2026-11-25T23:59:59.999Z']);
  expect([iso('now/w', false), iso('now/w', true)]).toEqual(['2026-11-23T00:00:00.000Z', '2026-11-29T23:59:59.999Z']);
  expect([iso('now-1M/M', false), iso('now-1M/M', true)]).toEqual(['2026-10-01T00:00:00.000Z', '2026-10-31T23:59:59.999Z']);
  expect([iso('now/y', false), iso('now/h', false), iso('now/m', true)]).toEqual(['2026-01-01T00:00:00.000Z', '2026-11-25T14:00:00.000Z', '2026-11-25T14:37:59.999Z']);
});

test('what is not relative is a time, or nothing', () => {
  expect(parseRelative('1795881096559', now, false)).toBe(1795881096.559);
  expect(iso('2026-11-25T10:00:00Z', false)).toBe('2026-11-25T10:00:00.000Z');
  expect(iso('2026-11-25 10:00:00', false)).toBe('2026-11-25T10:00:00.000Z');
  expect(parseRelative('yesterday', now, false)).toBe(null);
});
