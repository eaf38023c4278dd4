/**
 * An EventTarget whose events have types, and are told in the order in which things happened, and none while something
 * is going on: who is told may do what it likes, and what it causes is told after.
 * @template {object} Events by the name of an event
 */
export class Teller<Events extends object> extends EventTarget {
    constructor();
    /**
     * Have a function told of an event.
     * @template {keyof Events & string} Type
     * @param {Type} type
     * @param {((event: Events[Type] & Event) => void) | EventListenerObject | null} listener
     * @param {boolean | AddEventListenerOptions} [options]
     * @override
     */
    override addEventListener<Type extends keyof Events & string>(type: Type, listener: EventListenerObject | ((event: Events[Type] & Event) => void) | null, options?: boolean | AddEventListenerOptions | undefined): void;
    /**
     * @protected
     * @param {keyof Events & string} type
     * @param {unknown} detail
     */
    protected _tell(type: keyof Events & string, detail: unknown): void;
    /**
     * Do something, and tell of what came of it when it is done.
     * @protected
     * @template Result
     * @param {() => Result} work
     * @returns {Result}
     */
    protected _during<Result>(work: () => Result): Result;
    #private;
}
