import type { ComponentType, VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';

export type Late<P> = ComponentType<P> & { coming: () => Promise<void> };

// A part of a page that comes when it is first shown; until then `waiting` stands in its place. Who has waited for
// coming() shows it at once.
//
//   const Explain = lazy(() => import('./explain').then((m) => m.Explain));
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>, waiting: () => VNode | null = () => null): Late<P> {
  let known: ComponentType<P> | null = null;
  const coming = async (): Promise<void> => {
    known ??= await load();
  };
  function Lazy(props: P) {
    const [, setReady] = useState(known !== null);
    useEffect(() => {
      if (known !== null) return;
      let current = true;
      void coming().then(() => {
        if (current) setReady(true);
      });
      return () => {
        current = false;
      };
    }, []);
    const View = known;
    return View === null ? waiting() : <View {...props} />;
  }
  return Object.assign(Lazy, { coming });
}
