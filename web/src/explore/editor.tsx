import { useEffect, useRef, useState } from 'preact/hooks';
import { history as asked } from '../app/settings';
import type { Editor as Heavy } from './codemirror';

// A plain text field at once; the real editor takes its place when its code has come.
export function Editor({ value, onChange, onRun, broken, label }: { value: string; onChange: (text: string) => void; onRun: () => void; broken: boolean; label: string }) {
  const host = useRef<HTMLDivElement>(null);
  const heavy = useRef<Heavy | null>(null);
  const at = useRef(-1);
  const typed = useRef(new Set<string>());
  const latest = useRef({ value, onChange, onRun });
  latest.current = { value, onChange, onRun };
  const [ready, setReady] = useState(false);

  const recall = (by: number) => (): string | null => {
    if (by > 0 && at.current < 0 && latest.current.value !== '') return null;
    const next = at.current + by;
    if (next >= asked.value.length || (by < 0 && at.current < 0)) return null;
    at.current = Math.max(-1, next);
    return next < 0 ? '' : asked.value[next];
  };

  useEffect(() => {
    let gone = false;
    const load = (): void => {
      void import('./codemirror').then((module) => {
        if (gone || !host.current) return;
        const focused = host.current.contains(document.activeElement);
        setReady(true);
        heavy.current = module.create(
          host.current,
          latest.current.value,
          {
            change: (text) => {
              typed.current.add(text);
              latest.current.onChange(text);
            },
            run: () => ((at.current = -1), latest.current.onRun()),
            previous: recall(1),
            next: recall(-1),
          },
          label,
        );
        if (focused) heavy.current.focus();
      });
    };
    const idle = 'requestIdleCallback' in window ? requestIdleCallback(load, { timeout: 800 }) : Number(setTimeout(load, 60));
    return () => {
      gone = true;
      if ('cancelIdleCallback' in window) cancelIdleCallback(idle);
      heavy.current?.destroy();
      heavy.current = null;
    };
  }, []);
  // A value that was typed here comes back a moment later, when more may have been typed: only what
  // comes from elsewhere is put into the editor.
  useEffect(() => {
    if (typed.current.delete(value)) return;
    typed.current.clear();
    heavy.current?.set(value);
  }, [value]);

  return (
    <div ref={host} class={broken ? 'editor broken' : 'editor'}>
      {!ready && (
        <textarea
          aria-label={label}
          rows={1}
          spellcheck={false}
          value={value}
          placeholder="PromQL expression; Shift-Enter for a new line"
          onInput={(e) => onChange(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key === 'Enter' && !e.shiftKey) {
              e.preventDefault();
              onRun();
            }
          }}
        />
      )}
    </div>
  );
}
