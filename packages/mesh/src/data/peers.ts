/** The other processes on one database. What they say to each other is only that something has changed: they read what. */
export interface Peers {
  /** Wakes them soon. Many calls within a moment are one; one that is lost is no harm, for they look by themselves too. */
  wake(): void;
  /** Calls back when another one, or this one, has called `wake`; and once at the beginning. Ends when it is disposed. */
  listen(onWake: () => void): AsyncDisposable;
}
