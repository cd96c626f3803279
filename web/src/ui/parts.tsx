import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ApiError, recovered } from '../api/client';
import { Icon } from './icons';

// Small things that every page uses.

export type Load<T> = { state: 'loading'; data?: T } | { state: 'error'; error: ApiError; data?: T } | { state: 'ok'; data: T };

// Asks now, on every change of `keys`, every `everySeconds`, and when the server came back. What was
// seen last stays while the next answer is on its way. What is dear to ask is asked less often.
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, keys: unknown[], everySeconds = 0): Load<T> & { again: () => void } {
  const [result, setResult] = useState<Load<T>>({ state: 'loading' });
  const [turn, setTurn] = useState(0);
  const last = useRef<T | undefined>(undefined);
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    const run = async (): Promise<void> => {
      const begun = performance.now();
      if (!document.hidden) {
        try {
          const data = await load(abort.signal);
          if (abort.signal.aborted) return;
          last.current = data;
          setResult({ state: 'ok', data });
        } catch (error) {
          if (abort.signal.aborted) return;
          const known = error instanceof ApiError ? error : new ApiError(String((error as Error).message ?? error), 0);
          setResult({ state: 'error', error: known, data: last.current });
        }
      }
      if (everySeconds > 0 && !abort.signal.aborted) timer = window.setTimeout(run, Math.max(everySeconds * 1000, 8 * (performance.now() - begun)));
    };
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [...keys, turn, recovered.value]);
  return { ...result, again: () => setTurn((n) => n + 1) };
}

export function Failure({ error, again }: { error: ApiError; again?: () => void }) {
  return (
    <div class="notice bad" role="alert">
      <Icon name="bad" />
      <div>
        <strong>{error.status === 401 || error.status === 403 ? 'Not allowed' : error.type === 'offline' ? 'Offline' : 'Failed'}</strong>
        <span class="mono wrap">{error.message}</span>
      </div>
      {again && (
        <button type="button" class="quiet" onClick={again}>
          Retry
        </button>
      )}
    </div>
  );
}

// The frame in which a page waits, fails or shows.
export function Loaded<T>({ load, children }: { load: Load<T> & { again: () => void }; children: (data: T) => ComponentChildren }) {
  return (
    <>
      {load.state === 'error' && load.error.type !== 'offline' && <Failure error={load.error} again={load.again} />}
      {load.data !== undefined ? children(load.data) : load.state === 'loading' ? <Skeleton /> : null}
    </>
  );
}

export function Skeleton({ rows = 6 }: { rows?: number }) {
  return (
    <div class="skeleton" aria-busy="true" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => (
        <i key={i} />
      ))}
    </div>
  );
}

export type Tone = 'ok' | 'warn' | 'bad' | 'unknown' | 'accent';
const TONE_ICON: Record<Tone, string> = { ok: 'check', warn: 'warn', bad: 'bad', unknown: 'unknown', accent: 'clock' };

export function Badge({ tone, children, icon = true }: { tone: Tone; children: ComponentChildren; icon?: boolean }) {
  return (
    <span class={`badge ${tone}`}>
      {icon && <Icon name={TONE_ICON[tone]} size={12} />}
      {children}
    </span>
  );
}

export function Labels({ labels, hide = [], onPick }: { labels: Record<string, string>; hide?: string[]; onPick?: (name: string, value: string) => void }) {
  return (
    <span class="labels">
      {Object.entries(labels)
        .filter(([name]) => !hide.includes(name))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) =>
          onPick ? (
            <button type="button" key={name} class="label" title={`Filter by ${name}`} onClick={() => onPick(name, value)}>
              <i>{name}=</i>
              {value}
            </button>
          ) : (
            <span key={name} class="label">
              <i>{name}=</i>
              {value}
            </span>
          ),
        )}
    </span>
  );
}

export function Page({ name, title, aside, children }: { name: string; title: string; aside?: ComponentChildren; children: ComponentChildren }) {
  useEffect(() => {
    document.title = `${title} · Vedette`;
  }, [title]);
  return (
    <main class="page" data-page={name} id="main" tabIndex={-1}>
      <header class="page-head">
        <h1>{title}</h1>
        <div class="page-aside">{aside}</div>
      </header>
      {children}
    </main>
  );
}

export function Filter({ value, onInput, label, placeholder }: { value: string; onInput: (text: string) => void; label: string; placeholder?: string }) {
  return (
    <label class="search">
      <Icon name="search" size={14} />
      <input type="search" aria-label={label} placeholder={placeholder ?? label} value={value} data-search spellcheck={false} onInput={(e) => onInput(e.currentTarget.value)} />
    </label>
  );
}

export function Segments<T extends string>({ value, options, onPick, label }: { value: T; options: [T, ComponentChildren][]; onPick: (value: T) => void; label: string }) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {options.map(([key, text]) => (
        <button type="button" key={key} aria-pressed={key === value} onClick={() => onPick(key)}>
          {text}
        </button>
      ))}
    </div>
  );
}

// Only the rows in sight are in the document. Rows have one height, or each the one that `heights` says.
export function Virtual({ count, rowHeight, heights, children, height }: { count: number; rowHeight: number; heights?: number[]; height?: number; children: (index: number) => ComponentChildren }) {
  const host = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState<[number, number]>([0, Math.min(count, 40)]);
  const tops = useMemo(() => {
    if (!heights) return null;
    const sums = new Float64Array(heights.length + 1);
    heights.forEach((h, i) => (sums[i + 1] = sums[i] + h));
    return sums;
  }, [heights]);
  const topOf = (i: number): number => (tops ? tops[Math.min(i, tops.length - 1)] : i * rowHeight);
  // The row at a place.
  const rowAt = (y: number): number => {
    if (!tops) return Math.floor(y / rowHeight);
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tops[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  useEffect(() => {
    const element = host.current!;
    const scroller: HTMLElement | Window = height === undefined ? window : element;
    const measure = (): void => {
      const top = height === undefined ? -element.getBoundingClientRect().top : element.scrollTop;
      const view = height ?? innerHeight;
      const first = Math.max(0, rowAt(Math.max(0, top)) - 10);
      const last = Math.min(count, rowAt(Math.max(0, top + view)) + 11);
      setRange((old) => (old[0] === first && old[1] === last ? old : [first, Math.max(first, last)]));
    };
    measure();
    scroller.addEventListener('scroll', measure, { passive: true });
    addEventListener('resize', measure);
    return () => {
      scroller.removeEventListener('scroll', measure);
      removeEventListener('resize', measure);
    };
  }, [count, rowHeight, tops, height]);
  const rows = [];
  for (let i = range[0]; i < Math.min(range[1], count); i++) rows.push(children(i));
  return (
    <div ref={host} class="virtual" style={height === undefined ? undefined : { height: `${height}px`, overflowY: 'auto' }} tabIndex={height === undefined ? undefined : 0}>
      <div style={{ height: `${topOf(count)}px`, position: 'relative' }}>
        <div style={{ position: 'absolute', top: `${topOf(range[0])}px`, left: 0, right: 0 }}>{rows}</div>
      </div>
    </div>
  );
}

export function Dialog({ title, onClose, children, wide }: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = box.current!;
    element.showModal();
    return () => element.close();
  }, []);
  return (
    <dialog
      ref={box}
      class={wide ? 'dialog wide' : 'dialog'}
      aria-label={title}
      onCancel={(e) => {
        e.preventDefault();
        onClose();
      }}
      onClick={(e) => e.target === box.current && onClose()}
    >
      <div class="dialog-body">
        <header>
          <h2>{title}</h2>
          <button type="button" class="quiet icon-button" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

// A menu below its button; closes on choice, outside click and Escape. `worded`: the button has words, and
// these are its name.
export function Menu({ button, label, children, align = 'right', worded = false }: { button: ComponentChildren; label: string; align?: 'left' | 'right'; worded?: boolean; children: (close: () => void) => ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const host = useRef<HTMLDivElement>(null);
  const byKey = useRef(false);
  const items = (): HTMLElement[] => [...(host.current?.querySelectorAll<HTMLElement>('.menu-body :is(a, button, input, select)') ?? [])];
  // The arrows walk through what the menu offers, as far as a field does not need them itself.
  const walk = (e: KeyboardEvent): void => {
    const list = items();
    const at = list.indexOf(document.activeElement as HTMLElement);
    const field = document.activeElement instanceof HTMLInputElement && document.activeElement.type !== 'checkbox';
    const to = e.key === 'ArrowDown' ? (at + 1) % list.length : e.key === 'ArrowUp' ? (at <= 0 ? list.length : at) - 1 : field ? -1 : e.key === 'Home' ? 0 : e.key === 'End' ? list.length - 1 : -1;
    if (!open || to < 0 || list.length === 0) return;
    e.preventDefault();
    list[to].focus();
  };
  useEffect(() => {
    if (!open) return;
    if (byKey.current) items()[0]?.focus();
    const away = (e: Event): void => {
      if (!host.current?.contains(e.target as Node)) setOpen(false);
    };
    const key = (e: KeyboardEvent): void => {
      if (e.key !== 'Escape') return;
      if (host.current?.contains(document.activeElement)) host.current.querySelector('button')?.focus();
      setOpen(false);
    };
    document.addEventListener('pointerdown', away);
    document.addEventListener('keydown', key);
    return () => {
      document.removeEventListener('pointerdown', away);
      document.removeEventListener('keydown', key);
    };
  }, [open]);
  return (
    <div class="menu" ref={host} onKeyDown={walk}>
      <button type="button" class="quiet" aria-haspopup="true" aria-expanded={open} aria-label={worded ? undefined : label} title={label} onClick={(e) => ((byKey.current = e.detail === 0), setOpen(!open))}>
        {button}
      </button>
      {open && <div class={`menu-body ${align}`}>{children(() => setOpen(false))}</div>}
    </div>
  );
}
