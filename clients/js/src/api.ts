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
        /**
         * Recommend to a user under rules
         * @description Do the same as `GET`, with up to 100,000 ids in rules, and with rows of a page that do not repeat items.
         */
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
        /**
         * Add events
         * @description Store a batch of events, all or none. Retry if no response arrives.
         *
         *     An event is identified by `event_id` and `user_id`; a stored event is not changed by a duplicate. Once this
         *     responds, the events are durable and the next list takes them into account.
         *
         *     A body of type `application/x-ndjson`, with one event per line, may be much larger. Invalid lines are rejected
         *     individually, with their numbers; all others are stored, a thousand at a time.
         */
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
        /**
         * ChangedSegment
         * @description A segment that became more or less likely for the user.
         */
        ChangedSegment: {
            /** Segment */
            segment: number;
            /**
             * Before
             * @description Probability before any impressions, from 0 to 1.
             */
            before: number;
            /**
             * After
             * @description Probability now.
             */
            after: number;
            /**
             * Titles
             * @description Titles of the most distinctive items, best first, as a label of the segment.
             */
            titles: string[];
        };
        /**
         * ErrorBody
         * @description Body of every error.
         */
        ErrorBody: {
            /** Status */
            status: number;
            /**
             * Code
             * @description Machine-readable code, such as invalid, not_found, store_unavailable.
             */
            code: string;
            /**
             * Message
             * @description Human-readable sentence.
             */
            message: string;
            /**
             * Errors
             * @description Errors of individual fields; empty if the error is not about a field.
             */
            errors: components["schemas"]["FieldError"][];
        };
        /**
         * EventBody
         * @description A user action to store.
         *
         *     If a list has events with the signal shown, these define which of its items were seen.
         */
        EventBody: {
            /**
             * Signal
             * @description Signal: stream, favorite, skip, ban, search, ...; or shown for an impression, which never counts as use.
             * @default stream
             */
            signal?: string;
            /**
             * Entity
             * @description item, or another entity of the model, such as artist.
             * @default item
             */
            entity?: string;
            /**
             * Entity Id
             * @description Your id of an item, or of a member of another entity.
             */
            entity_id: string | number;
            /**
             * Event Id
             * @description Your event id, unique per user.
             */
            event_id: string | number;
            /**
             * Timestamp
             * @description Time of the event, from 1971 to tomorrow, with UTC offset. Stored, but does not affect lists.
             */
            timestamp?: string | null;
            /**
             * List Id
             * @description List id: that of the service if it recorded the list, otherwise your own.
             */
            list_id?: string | number | null;
            /**
             * Position
             * @description Position of the item in the list, from 1. Omit it if the user certainly saw the item.
             */
            position?: number | null;
            /**
             * Propensity
             * @description Probability that the policy shows the item at this position. Defaults to the value in the recorded list, if any. Does not affect lists.
             */
            propensity?: number | null;
            /**
             * Policy
             * @description Policy that made the list. Defaults to the policy of the recorded list, if any. Does not affect lists.
             */
            policy?: string | null;
            /**
             * User Id
             * @description Your user id, without slashes and control characters, and not only dots.
             */
            user_id: string | number;
        };
        /**
         * EventsAnswer
         * @description Result of storing a batch of events.
         */
        EventsAnswer: {
            /**
             * Accepted
             * @description Number of new events, now durable.
             */
            accepted: number;
            /**
             * Duplicates
             * @description Number of events whose id the user already has; the stored events are unchanged.
             */
            duplicates: number;
            /**
             * Not Understood
             * @description Number of events, new or duplicate, with a signal, entity or id unknown to the model. They are stored.
             */
            not_understood: number;
            /**
             * Ignored
             * @description One sentence for each of the first events unknown to the model.
             */
            ignored: string[];
        };
        /**
         * EventsBody
         * @description Events of one or more users. Either all are stored or none.
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
            /** Events */
            events: components["schemas"]["EventBody"][];
        };
        /**
         * Explanation
         * @description Explanation of a list.
         */
        Explanation: {
            /**
             * Route
             * @description The strategy that answered, and what its list is based on.
             */
            route: string;
            /**
             * Segments
             * @description Nearest segments, nearest first.
             */
            segments: components["schemas"]["NearSegment"][];
            /**
             * Moved By
             * @description Effect of each signal, largest first.
             */
            moved_by: components["schemas"]["MovedBy"][];
            /**
             * Signals Left Out
             * @description Number of signals not evaluated because the user has too many: the oldest ones.
             */
            signals_left_out: number;
            /** Items */
            items: components["schemas"]["ItemReason"][];
            /** @description Present only if items were passed over. */
            learned?: components["schemas"]["Learned"] | null;
        };
        /**
         * FieldError
         * @description An error in one field of a request.
         */
        FieldError: {
            /**
             * Field
             * @description Name of the field or parameter, such as events[3].user_id.
             */
            field: string;
            /** Message */
            message: string;
        };
        /**
         * Item
         * @description An item of a list.
         */
        Item: {
            /** Item Id */
            item_id: number | string;
            /**
             * Title
             * @description Empty if the items have no titles.
             */
            title: string;
            /**
             * Score
             * @description Score on the scale score_scale; 0 for items after the first n_ranked.
             */
            score: number;
        };
        /**
         * ItemReason
         * @description Why an item is in the list.
         */
        ItemReason: {
            /** Item Id */
            item_id: number | string;
            /** Why */
            why: string;
            /**
             * Share Of Segment
             * @description Share of the predicted segment's users who use the item, from 0 to 1.
             */
            share_of_segment: number | null;
            /** Share Of Everyone */
            share_of_everyone: number;
            /** @description The user's most similar liked item. */
            most_like: components["schemas"]["NearSignal"] | null;
        };
        /**
         * Learned
         * @description Effect of impressions on the belief over segments, in addition to all other signals.
         */
        Learned: {
            /**
             * N Passed Over
             * @description Number of items shown, probably seen, and not used.
             */
            n_passed_over: number;
            /**
             * N Used
             * @description Number of items shown and liked.
             */
            n_used: number;
            /**
             * Risen
             * @description Segments that became more likely, largest change first.
             */
            risen: components["schemas"]["ChangedSegment"][];
            /**
             * Fallen
             * @description Segments that became less likely, largest change first.
             */
            fallen: components["schemas"]["ChangedSegment"][];
        };
        /**
         * LineError
         * @description An error in a line of a stream.
         */
        LineError: {
            /**
             * Line
             * @description Line number, from 1.
             */
            line: number;
            /**
             * Field
             * @description Invalid field; empty if the line as a whole is invalid.
             */
            field: string;
            /** Message */
            message: string;
        };
        /**
         * ListAnswer
         * @description A list.
         */
        ListAnswer: {
            /**
             * Model
             * @description Version of the model that answered.
             */
            model: string;
            /**
             * User Id
             * @description User id, if the store was queried.
             */
            user_id?: string | null;
            /**
             * Strategy
             * @description Requested strategy.
             */
            strategy: string;
            /**
             * Route
             * @description Strategy that made the list, which may be a fallback (group, recent, popular). Similar items were used_together
             *     with the item, or have the nearest vectors.
             */
            route: string;
            /**
             * Signals From
             * @description store_unavailable: the store did not respond, so the list uses no user data.
             * @enum {string}
             */
            signals_from: "store" | "request" | "store_unavailable";
            /**
             * Segment
             * @description Predicted segment; null if nothing is known about the user.
             */
            segment: number | null;
            /**
             * Segment Size
             * @description Number of warm users in the segment.
             */
            segment_size: number | null;
            /**
             * Score Scale
             * @description Meaning of the scores: share of ... (a share of the users named, from 0 to 1), probability of use (that
             *     a user who comes back uses the item after day one; the same under any rule), or score (only the order is
             *     meaningful).
             */
            score_scale: string;
            /**
             * N Ranked
             * @description Number of leading items ranked by the route. Popular items fill the remaining ranks.
             */
            n_ranked: number;
            /**
             * Items
             * @description Best first.
             */
            items: components["schemas"]["Item"][];
            /**
             * Ignored
             * @description One sentence for each signal that is unknown to the model or not used by the strategy; at most 20.
             */
            ignored: string[];
            /**
             * Notes
             * @description One sentence for each signal that only excludes items, and for each rule without effect.
             */
            notes: string[];
            /**
             * List Id
             * @description Id of the recorded list; null if it is not recorded. Send it with events about the list.
             */
            list_id?: string | null;
            /**
             * Not Recorded
             * @description Why the list could not be recorded; null if it was recorded or record was not requested.
             */
            not_recorded?: string | null;
            /**
             * Experiment
             * @description Experiment that the user takes part in.
             */
            experiment?: string | null;
            /**
             * Variant
             * @description The user's variant, whose strategy made the list; null if the request named a strategy.
             */
            variant?: string | null;
            /** @description Present only if explain was requested. */
            explanation?: components["schemas"]["Explanation"] | null;
        };
        /**
         * MovedBy
         * @description Effect of one signal on the prediction.
         */
        MovedBy: {
            /**
             * Signal
             * @description The signal, such as favorite item i81, favorite artist a7 (Nina), or country FR.
             */
            signal: string;
            /**
             * Moved
             * @description Distance between the vectors predicted with and without this signal: 1 - cosine, from 0 to 2.
             */
            moved: number;
            /**
             * Segment Without
             * @description Segment predicted without this signal; null if nothing else is known about the user.
             */
            segment_without: number | null;
        };
        /**
         * NearSegment
         * @description A segment near the predicted vector.
         */
        NearSegment: {
            /** Segment */
            segment: number;
            /**
             * Users
             * @description Number of warm users.
             */
            users: number;
            /**
             * Spread
             * @description Mean squared distance of the users' vectors to the centroid.
             */
            spread: number;
            /**
             * Top Items
             * @description Most used items, best first.
             */
            top_items: components["schemas"]["SegmentItem"][];
            /**
             * Weight
             * @description Weight in the list, from 0 to 1.
             */
            weight: number;
            /**
             * Distance
             * @description Distance from the predicted vector to the centroid.
             */
            distance: number;
        };
        /**
         * NearSignal
         * @description The user's liked item that is most similar to a listed item.
         */
        NearSignal: {
            /** Item Id */
            item_id: number | string;
            /**
             * Title
             * @description Empty if the items have no titles.
             */
            title: string;
            /**
             * Similarity
             * @description Cosine similarity of the two item vectors.
             */
            similarity: number;
        };
        /**
         * PageAnswer
         * @description The rows of a page.
         */
        PageAnswer: {
            /** Rows */
            rows: components["schemas"]["RowAnswer"][];
        };
        /**
         * Row
         * @description A row of a page, a list with its own rules.
         */
        Row: {
            /**
             * Filter
             * @description Condition on the columns of `items`, such as `in_stock and year >= 2020`.
             * @default
             */
            filter?: string;
            /**
             * Allow
             * @description Ids of the only items to list.
             */
            allow?: (string | number)[] | null;
            /**
             * Deny
             * @description Ids of items not to list.
             * @default []
             */
            deny?: (string | number)[];
            /**
             * Cap
             * @description Maximum number of items per value of a column, such as 2 per `artist`. Items without a value are not limited; an
             *     item with several values counts for each.
             * @default {}
             */
            cap?: {
                [key: string]: number;
            };
            /**
             * Pin
             * @description Item id by rank, from 1. Pins excluded by `filter`, `allow`, `deny` or the user's history are not listed.
             * @default {}
             */
            pin?: {
                [key: string]: string | number;
            };
            /**
             * Boost
             * @description Factor of the scores of items that meet a filter.
             * @default {}
             */
            boost?: {
                [key: string]: number;
            };
            /**
             * After
             * @description Number of ranks to skip, for the next page of the same ranking.
             * @default 0
             */
            after?: number;
            /**
             * Context
             * @description Values of the request, read in filters as `user.NAME`. They take precedence over the user's profile.
             * @default {}
             */
            context?: {
                [key: string]: unknown;
            };
            /**
             * Lists
             * @description Lists of ids, read in filters as `lists.NAME`: `item_id not in lists.sold_out`.
             * @default {}
             */
            lists?: {
                [key: string]: (string | number)[];
            };
            /**
             * Name
             * @description Name of the row, unique in the page.
             */
            name: string;
            /**
             * K
             * @description Length of the list; defaults to that of the page.
             */
            k?: number | null;
        };
        /**
         * RowAnswer
         * @description A row of a page.
         */
        RowAnswer: {
            /**
             * Model
             * @description Version of the model that answered.
             */
            model: string;
            /**
             * User Id
             * @description User id, if the store was queried.
             */
            user_id?: string | null;
            /**
             * Strategy
             * @description Requested strategy.
             */
            strategy: string;
            /**
             * Route
             * @description Strategy that made the list, which may be a fallback (group, recent, popular). Similar items were used_together
             *     with the item, or have the nearest vectors.
             */
            route: string;
            /**
             * Signals From
             * @description store_unavailable: the store did not respond, so the list uses no user data.
             * @enum {string}
             */
            signals_from: "store" | "request" | "store_unavailable";
            /**
             * Segment
             * @description Predicted segment; null if nothing is known about the user.
             */
            segment: number | null;
            /**
             * Segment Size
             * @description Number of warm users in the segment.
             */
            segment_size: number | null;
            /**
             * Score Scale
             * @description Meaning of the scores: share of ... (a share of the users named, from 0 to 1), probability of use (that
             *     a user who comes back uses the item after day one; the same under any rule), or score (only the order is
             *     meaningful).
             */
            score_scale: string;
            /**
             * N Ranked
             * @description Number of leading items ranked by the route. Popular items fill the remaining ranks.
             */
            n_ranked: number;
            /**
             * Items
             * @description Best first.
             */
            items: components["schemas"]["Item"][];
            /**
             * Ignored
             * @description One sentence for each signal that is unknown to the model or not used by the strategy; at most 20.
             */
            ignored: string[];
            /**
             * Notes
             * @description One sentence for each signal that only excludes items, and for each rule without effect.
             */
            notes: string[];
            /**
             * List Id
             * @description Id of the recorded list; null if it is not recorded. Send it with events about the list.
             */
            list_id?: string | null;
            /**
             * Not Recorded
             * @description Why the list could not be recorded; null if it was recorded or record was not requested.
             */
            not_recorded?: string | null;
            /**
             * Experiment
             * @description Experiment that the user takes part in.
             */
            experiment?: string | null;
            /**
             * Variant
             * @description The user's variant, whose strategy made the list; null if the request named a strategy.
             */
            variant?: string | null;
            /** @description Present only if explain was requested. */
            explanation?: components["schemas"]["Explanation"] | null;
            /** Name */
            name: string;
        };
        /**
         * Rules
         * @description Rules on lists, for Python, the command line, batches and HTTP alike; docs/rules.md has examples of each.
         *
         *     Rules apply before a ranking is cut to `k` items, so a list is shorter only if rules and the user's history leave
         *     fewer.
         */
        Rules: {
            /**
             * Filter
             * @description Condition on the columns of `items`, such as `in_stock and year >= 2020`.
             * @default
             */
            filter?: string;
            /**
             * Allow
             * @description Ids of the only items to list.
             */
            allow?: (string | number)[] | null;
            /**
             * Deny
             * @description Ids of items not to list.
             * @default []
             */
            deny?: (string | number)[];
            /**
             * Cap
             * @description Maximum number of items per value of a column, such as 2 per `artist`. Items without a value are not limited; an
             *     item with several values counts for each.
             * @default {}
             */
            cap?: {
                [key: string]: number;
            };
            /**
             * Pin
             * @description Item id by rank, from 1. Pins excluded by `filter`, `allow`, `deny` or the user's history are not listed.
             * @default {}
             */
            pin?: {
                [key: string]: string | number;
            };
            /**
             * Boost
             * @description Factor of the scores of items that meet a filter.
             * @default {}
             */
            boost?: {
                [key: string]: number;
            };
            /**
             * After
             * @description Number of ranks to skip, for the next page of the same ranking.
             * @default 0
             */
            after?: number;
            /**
             * Context
             * @description Values of the request, read in filters as `user.NAME`. They take precedence over the user's profile.
             * @default {}
             */
            context?: {
                [key: string]: unknown;
            };
            /**
             * Lists
             * @description Lists of ids, read in filters as `lists.NAME`: `item_id not in lists.sold_out`.
             * @default {}
             */
            lists?: {
                [key: string]: (string | number)[];
            };
        };
        /**
         * SegmentItem
         * @description An item used by a segment's users.
         */
        SegmentItem: {
            /** Item Id */
            item_id: number | string;
            /**
             * Title
             * @description Empty if the items have no titles.
             */
            title: string;
            /**
             * Share
             * @description Share of the segment's users who use the item, from 0 to 1.
             */
            share: number;
            /** Share Of Everyone */
            share_of_everyone: number;
        };
        /**
         * StrategyName
         * @enum {string}
         */
        StrategyName: "popular" | "recent" | "group" | "day_one" | "input_clusters" | "fold_in" | "personal" | "segment" | "soft_segments" | "neighbors" | "friends" | "direct" | "edlae" | "blend" | "item_item" | "user_user" | "ease" | "als_fold_in" | "mult_dae" | "explore" | "auto" | "dropoutnet_personal" | "dropoutnet_segment" | "melu_personal" | "melu_segment";
        /**
         * StreamAnswer
         * @description Result of storing a stream of events.
         */
        StreamAnswer: {
            /**
             * Accepted
             * @description Number of new events, now durable.
             */
            accepted: number;
            /**
             * Duplicates
             * @description Number of events whose id the user already has; the stored events are unchanged.
             */
            duplicates: number;
            /**
             * Not Understood
             * @description Number of events, new or duplicate, with a signal, entity or id unknown to the model. They are stored.
             */
            not_understood: number;
            /**
             * Refused
             * @description Number of invalid lines; all others are stored.
             */
            refused: number;
            /**
             * Errors
             * @description The first errors.
             */
            errors: components["schemas"]["LineError"][];
        };
        /**
         * UserListBody
         * @description Options of a user's list, and rules.
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
            /**
             * K
             * @description List length. Defaults to the model's setting.
             */
            k?: number | null;
            /** @description Strategy of the list. Defaults to the model's setting. */
            strategy?: components["schemas"]["StrategyName"] | null;
            /**
             * Explain
             * @description Explain the list: the route, segments, each signal's effect on the prediction, and each item.
             * @default false
             */
            explain?: boolean;
            /**
             * Keep Used
             * @description Allow items that the user has used, banned or passed over.
             * @default false
             */
            keep_used?: boolean;
            /**
             * @description Rules on the list, or on all rows.
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
            /**
             * Rows
             * @description Rows of a page: several lists without repeats, each with its own rules. Empty: one list.
             * @default []
             */
            rows?: components["schemas"]["Row"][];
            /**
             * Record
             * @description Record that this list is shown to the user, so that later lists take into account items passed over. If keys are
             *     set, the key needs both read and write access.
             * @default false
             */
            record?: boolean;
            /**
             * After
             * @description Id of a recorded list to continue, with the same ranking. Send the same rules again.
             * @default
             */
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
                /** @description Your user id. */
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
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListAnswer"] | components["schemas"]["PageAnswer"];
                };
            };
            /** @description Invalid request; every invalid field is named. */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Any other error. */
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
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StreamAnswer"] | components["schemas"]["EventsAnswer"];
                };
            };
            /** @description Invalid request; every invalid field is named. */
            422: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorBody"];
                };
            };
            /** @description Any other error. */
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
