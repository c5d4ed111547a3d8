-- What a step needs of each line, as text, and the line as the API prints it: made here, a thousand of them cost the
-- server's own process a tenth of what it takes to make rows of them and print those.
-- Lines of more than so many bytes in all are left for the next step, but for the first; the last column says of how many
-- lines these are. A CTE is scanned in the order of its rows, and so are its windows without an order of their own.
SELECT
    lines.id::text, to_char(moment, 'YYYY-MM-DD"T"HH24:MI:SS.US+00:00'), written_by::text, row_to_json(line)::text, of_all
FROM (
    SELECT
        *, count(*) OVER () AS of_all,
        sum(octet_length(message) + coalesce(octet_length(data::text), 0)) OVER (
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS bytes_before
    FROM lines
) AS lines, LATERAL (SELECT lines.timestamp AT TIME ZONE 'UTC' AS moment) AS utc, LATERAL (
    SELECT
        lines.id, workflow_execution_id AS workflow_execution, node_execution_id AS node_execution,
        level, message, data,
        to_char(
            moment,
            CASE date_trunc('second', moment) WHEN moment THEN 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
            ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' END
        ) AS timestamp,
        is_cut
) AS line
WHERE bytes_before IS NULL OR bytes_before < %(bytes)s
