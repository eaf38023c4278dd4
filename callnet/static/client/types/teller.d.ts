/**
 * An EventTarget whose events have types.
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
}
