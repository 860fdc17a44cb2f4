// Turns what a client pushes (an observable, or anything with `subscribe`) into an async iterable that can be stopped.

export function iterate(observable, map) {
  const waiting = [];
  const results = [];
  const give = (result) => (waiting.length > 0 ? waiting.shift()(result) : results.push(result));
  const next = (value) => give({ value });
  const error = (failure) => give({ failure });
  const complete = () => give({ done: true });
  // Wonka's sources take a function, observables take an observer.
  const subscription = typeof observable === 'function' ? observable.subscribe(next) : observable.subscribe({ next, error, complete });

  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      const result = results.shift() ?? (await new Promise((resolve) => waiting.push(resolve)));
      if (result.failure) throw result.failure;
      return result.done ? { done: true, value: undefined } : { done: false, value: map(result.value) };
    },
    async return() {
      subscription.unsubscribe();
      return { done: true, value: undefined };
    },
  };
}
