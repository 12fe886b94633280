// Written by types.js from /v1/openapi.json.
export interface paths {
    "/v1/users/{user_id}/recommendations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Recommend to a user under rules */
        post: operations["recommend_under_rules_v1_users__user_id__recommendations_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Add events */
        post: operations["add_events_v1_events_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        ErrorBody: {
            status: number;
            code: string;
            message: string;
            errors: components["schemas"]["FieldError"][];
        };
        EventBody: {
            /** @default stream */
            signal?: string;
            /** @default item */
            entity?: string;
            entity_id: string | number;
            event_id: string | number;
            timestamp?: string | null;
            list_id?: string | number | null;
            position?: number | null;
            propensity?: number | null;
            policy?: string | null;
            user_id: string | number;
        };
        EventsAnswer: {
            accepted: number;
            duplicates: number;
            not_understood: number;
            ignored: string[];
        };
        /**
         * @example {
         *       "events": [
         *         {
         *           "entity": "artist",
         *           "entity_id": "a7",
         *           "event_id": "e-2",
         *           "user_id": "u-12"
         *         }
         *       ]
         *     }
         */
        EventsBody: {
            events: components["schemas"]["EventBody"][];
        };
        Explanation: {
            route: string;
            segments: components["schemas"]["NearSegment"][];
            items: components["schemas"]["ItemReason"][];
            known: string;
        };
        FieldError: {
            field: string;
            message: string;
        };
        Item: {
            item_id: number | string;
            title: string;
            score: number;
        };
        ItemReason: {
            item_id: number | string;
            why: string;
            share_of_segment: number | null;
            share_of_everyone: number;
            most_like: components["schemas"]["NearSignal"] | null;
        };
        LineError: {
            line: number;
            field: string;
            message: string;
        };
        ListAnswer: {
            model: string;
            user_id?: string | null;
            strategy: string;
            route: string;
            /** @enum {string} */
            signals_from: "store" | "request" | "store_unavailable";
            segment: number | null;
            segment_size: number | null;
            score_scale: string;
            n_ranked: number;
            items: components["schemas"]["Item"][];
            ignored: string[];
            notes: string[];
            list_id?: string | null;
            not_recorded?: string | null;
            experiment?: string | null;
            variant?: string | null;
            explanation?: components["schemas"]["Explanation"] | null;
        };
        NearSegment: {
            segment: number;
            users: number;
            spread: number;
            top_items: components["schemas"]["SegmentItem"][];
            weight: number;
            distance: number;
        };
        NearSignal: {
            item_id: number | string;
            title: string;
            similarity: number;
        };
        PageAnswer: {
            rows: components["schemas"]["RowAnswer"][];
        };
        Row: {
            /** @default  */
            filter?: string;
            allow?: (string | number)[] | null;
            /** @default [] */
            deny?: (string | number)[];
            /** @default {} */
            cap?: {
                [key: string]: number;
            };
            /** @default {} */
            pin?: {
                [key: string]: string | number;
            };
            /** @default {} */
            boost?: {
                [key: string]: number;
            };
            /** @default 0 */
            after?: number;
            /** @default {} */
            context?: {
                [key: string]: unknown;
            };
            /** @default {} */
            lists?: {
                [key: string]: (string | number)[];
            };
            name: string;
            k?: number | null;
        };
        RowAnswer: {
            model: string;
            user_id?: string | null;
            strategy: string;
            route: string;
            /** @enum {string} */
            signals_from: "store" | "request" | "store_unavailable";
            segment: number | null;
            segment_size: number | null;
            score_scale: string;
            n_ranked: number;
            items: components["schemas"]["Item"][];
            ignored: string[];
            notes: string[];
            list_id?: string | null;
            not_recorded?: string | null;
            experiment?: string | null;
            variant?: string | null;
            explanation?: components["schemas"]["Explanation"] | null;
            name: string;
        };
        Rules: {
            /** @default  */
            filter?: string;
            allow?: (string | number)[] | null;
            /** @default [] */
            deny?: (string | number)[];
            /** @default {} */
            cap?: {
                [key: string]: number;
            };
            /** @default {} */
            pin?: {
                [key: string]: string | number;
            };
            /** @default {} */
            boost?: {
                [key: string]: number;
            };
            /** @default 0 */
            after?: number;
            /** @default {} */
            context?: {
                [key: string]: unknown;
            };
            /** @default {} */
            lists?: {
                [key: string]: (string | number)[];
            };
        };
        SegmentItem: {
            item_id: number | string;
            title: string;
            share: number;
            share_of_everyone: number;
        };
        /** @enum {string} */
        StrategyName: "als_fold_in" | "auto" | "blend" | "day_one" | "direct" | "ease" | "edlae" | "explore" | "fold_in" | "friends" | "group" | "input_clusters" | "item_item" | "latest" | "mult_dae" | "neighbors" | "personal" | "popular" | "recent" | "segment" | "soft_segments" | "trending" | "user_user" | "dropoutnet_personal" | "dropoutnet_segment" | "melu_personal" | "melu_segment";
        StreamAnswer: {
            accepted: number;
            duplicates: number;
            not_understood: number;
            refused: number;
            errors: components["schemas"]["LineError"][];
        };
        /**
         * @example {
         *       "k": 10,
         *       "rules": {
         *         "filter": "item_id not in lists.sold_out",
         *         "lists": {
         *           "sold_out": [
         *             "i3"
         *           ]
         *         }
         *       }
         *     }
         */
        UserListBody: {
            k?: number | null;
            strategy?: components["schemas"]["StrategyName"] | null;
            /** @default false */
            explain?: boolean;
            /** @default false */
            keep_used?: boolean;
            /**
             * @default {
             *       "filter": "",
             *       "deny": [],
             *       "cap": {},
             *       "pin": {},
             *       "boost": {},
             *       "after": 0,
             *       "context": {},
             *       "lists": {}
             *     }
             */
            rules?: components["schemas"]["Rules"];
            /** @default [] */
            rows?: components["schemas"]["Row"][];
            /** @default false */
            record?: boolean;
            /** @default  */
            after?: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    recommend_under_rules_v1_users__user_id__recommendations_post: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                user_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UserListBody"];
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListAnswer"] | components["schemas"]["PageAnswer"];
                };
            };
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
    add_events_v1_events_post: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EventsBody"];
                "application/x-ndjson": string;
            };
        };
        responses: {
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StreamAnswer"] | components["schemas"]["EventsAnswer"];
                };
            };
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
        };
    };
}
