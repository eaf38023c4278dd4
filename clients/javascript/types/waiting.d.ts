/**
 * Those who wait for something to be in one of some states.
 * @template {string} State
 */
export class Waiting<State extends string> {
    /**
     * A promise of the first of some states, which may be the present one.
     * @param {State} state the present one
     * @param {readonly State[]} states
     * @returns {Promise<State>}
     */
    until(state: State, states: readonly State[]): Promise<State>;
    /**
     * Tell of a state.
     * @param {State} state
     * @param {boolean} [isLast] no other will follow: nobody is to wait any longer
     */
    tell(state: State, isLast?: boolean | undefined): void;
    #private;
}
