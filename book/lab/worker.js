/* Messages to the engine and back. One in: {id, call, state, options}; one out: {id, call, result} or
 * {id, call, error}. Calls: "run", "train" (makes the trainer `options.name`), "step" and "surface" (of it).
 * Of runs that wait with the same `options.slot`, only the newest is done: the others were overtaken.
 */
"use strict";

(() => {
  const trainers = new Map(), waiting = new Map();

  const snapshot = (trainer, extra) => ({
    steps: trainer.steps, loss: trainer.loss, accuracy: trainer.accuracy, ratio: trainer.ratio,
    stopped: trainer.stopped, ...extra,
  });

  const CALLS = {
    run: ({ state, options }) => Engine.run(state, options),
    train: ({ state, options }) => {
      const trainer = Engine.trainer(state, options);
      trainers.set(options.name, trainer);
      return snapshot(trainer, { data: trainer.data });
    },
    step: ({ options }) => {
      const trainer = trainers.get(options.name), losses = trainer.step(options.steps);
      return snapshot(trainer, { losses, surface: options.grid ? trainer.surface(options.grid) : null });
    },
    surface: ({ options }) => trainers.get(options.name).surface(options.grid),
  };

  function answer({ id, call, ...rest }) {
    try {
      postMessage({ id, call, result: CALLS[call](rest) });
    } catch (error) {
      postMessage({ id, call, error: String(error?.message ?? error) });
    }
  }

  onmessage = ({ data }) => {
    const slot = data.options?.slot;
    if (slot === undefined) { answer(data); return; }
    const idle = !waiting.has(slot);
    waiting.set(slot, data);
    // what has arrived until then replaces it
    if (idle) setTimeout(() => { const newest = waiting.get(slot); waiting.delete(slot); answer(newest); }, 0);
  };
})();
