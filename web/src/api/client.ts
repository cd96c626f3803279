import { signal } from '@preact/signals';
import { root } from '../app/router';

// One way to ask the server. Errors carry the server's own words.
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly type = '',
  ) {
    super(message);
  }
}

// False while the server cannot be reached at all; the shell shows a banner and asks again.
export const online = signal(true);
// Grows each time the server comes back, so that pages ask again.
export const recovered = signal(0);

export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
  ms: number;
}

let probing = false;

async function probe(): Promise<void> {
  if (probing) return;
  probing = true;
  for (let wait = 1000; ; wait = Math.min(wait * 1.5, 5000)) {
    await new Promise((done) => setTimeout(done, wait));
    try {
      const answer = await fetch(root + '-/ready', { cache: 'no-store' });
      if (answer.ok) break;
    } catch {
      // Still away.
    }
  }
  probing = false;
  online.value = true;
  recovered.value++;
}

function lost(): void {
  online.value = false;
  void probe();
}

export async function raw(path: string, init: RequestInit = {}): Promise<Response> {
  try {
    const answer = await fetch(root + path, init);
    if (answer.status === 502 || answer.status === 504) lost();
    return answer;
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    lost();
    throw new ApiError('The server cannot be reached.', 0, 'offline');
  }
}

// An answer in Prometheus' envelope.
export async function ask<T>(path: string, init: RequestInit = {}): Promise<Answer<T>> {
  const begin = performance.now();
  const answer = await raw('api/v1/' + path, init);
  const text = await answer.text();
  let body: { status?: string; data?: T; error?: string; errorType?: string; warnings?: string[]; infos?: string[] };
  try {
    body = JSON.parse(text);
  } catch {
    throw new ApiError(text.trim().slice(0, 400) || `HTTP ${answer.status}`, answer.status);
  }
  if (body.status !== 'success') throw new ApiError(body.error ?? `HTTP ${answer.status}`, answer.status, body.errorType);
  return { data: body.data as T, warnings: body.warnings ?? [], infos: body.infos ?? [], ms: performance.now() - begin };
}

// JSON without an envelope: Alertmanager's and Grafana's way.
export async function plain<T>(path: string, init: RequestInit = {}): Promise<T> {
  const answer = await raw(path, init);
  const text = await answer.text();
  if (!answer.ok) {
    let message = text.trim().slice(0, 400);
    try {
      const body = JSON.parse(text);
      message = typeof body === 'string' ? body : (body.message ?? body.error ?? message);
    } catch {
      // The text itself is the message.
    }
    throw new ApiError(message || `HTTP ${answer.status}`, answer.status);
  }
  return (text === '' ? null : JSON.parse(text)) as T;
}

// At most six queries at once: the browser would queue the rest anyway, but without order.
let running = 0;
const waiting: (() => void)[] = [];

async function slot<T>(work: () => Promise<T>): Promise<T> {
  if (running >= 6) await new Promise<void>((go) => waiting.push(go));
  running++;
  try {
    return await work();
  } finally {
    running--;
    waiting.shift()?.();
  }
}

export type Metric = Record<string, string>;
export interface Histogram {
  count: string;
  sum: string;
  buckets?: [number, string, string, string][];
}
export interface VectorSample {
  metric: Metric;
  value?: [number, string];
  histogram?: [number, Histogram];
}
export interface MatrixSeries {
  metric: Metric;
  values?: [number, string][];
  histograms?: [number, Histogram][];
}
export type QueryData =
  | { resultType: 'vector'; result: VectorSample[] }
  | { resultType: 'matrix'; result: MatrixSeries[] }
  | { resultType: 'scalar' | 'string'; result: [number, string] };

function form(values: Record<string, string | number>, signal?: AbortSignal): RequestInit {
  const body = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) body.set(name, String(value));
  return { method: 'POST', body, signal };
}

export function query(expr: string, time: number, signal?: AbortSignal): Promise<Answer<QueryData>> {
  return slot(() => ask<QueryData>('query', form({ query: expr, time }, signal)));
}

// Values in columns: a third of the bytes of Prometheus' JSON, and read several times as fast. A server
// that does not know the type answers as Prometheus does.
const COLUMNS = 'application/vnd.vedette.columns+json';

export interface Columns {
  resultType: 'columns';
  start: number;
  step: number;
  series: { metric: Metric; v: (number | string | null)[]; h?: [number, Histogram][] }[];
}

// A series whose [time, text] pairs are only made when somebody asks for them.
export class ColumnSeries implements MatrixSeries {
  private pairs: [number, string][] | null = null;
  readonly histograms?: [number, Histogram][];
  constructor(readonly metric: Metric, readonly start: number, readonly step: number, readonly column: (number | null)[], h?: [number, Histogram][]) {
    if (h?.length) this.histograms = h.map(([i, x]) => [start + i * step, x]);
  }
  get values(): [number, string][] {
    if (this.pairs === null) {
      this.pairs = [];
      this.column.forEach((v, i) => v !== null && this.pairs!.push([this.start + i * this.step, v === Infinity ? '+Inf' : v === -Infinity ? '-Inf' : String(v)]));
    }
    return this.pairs;
  }
}

const SPECIAL: Record<string, number> = { NaN, '+Inf': Infinity, '-Inf': -Infinity };

export function fromColumns(data: Columns): { resultType: 'matrix'; result: MatrixSeries[] } {
  return { resultType: 'matrix', result: data.series.map((s) => new ColumnSeries(s.metric, data.start, data.step, s.v.map((v) => (typeof v === 'string' ? (SPECIAL[v] ?? null) : v)), s.h)) };
}

export async function queryRange(expr: string, start: number, end: number, step: number, signal?: AbortSignal): Promise<Answer<QueryData>> {
  const init = { ...form({ query: expr, start, end, step }, signal), headers: { Accept: `${COLUMNS}, application/json;q=0.5` } };
  const answer = await slot(() => ask<QueryData | Columns>('query_range', init));
  return { ...answer, data: answer.data.resultType === 'columns' ? fromColumns(answer.data) : answer.data };
}

export function get<T>(path: string, values: Record<string, string | string[]> = {}, signal?: AbortSignal): Promise<Answer<T>> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) for (const one of Array.isArray(value) ? value : [value]) query.append(name, one);
  const text = query.toString();
  return slot(() => ask<T>(path + (text === '' ? '' : '?' + text), { signal }));
}
