// Publicizer <assembly> <copy>: a copy in which internal types and members are public. Code compiles against the copy and runs with the
// original, which the runtime allows to assemblies that carry IgnoresAccessChecksToAttribute. Private members stay private.
using System.Buffers.Binary;
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

if (args.Length != 2)
{
    Console.Error.WriteLine("Usage: Publicizer <assembly> <copy>");
    return 2;
}
byte[] image = File.ReadAllBytes(args[0]);
using (var file = new PEReader(new MemoryStream([.. image])))
{
    MetadataReader metadata = file.GetMetadataReader();
    int start = file.PEHeaders.MetadataStartOffset;

    // The flags of a type are its first four bytes, those of a field its first two; a method's follow its address and its implementation flags.
    foreach (int row in Rows(TableIndex.TypeDef))
    {
        uint flags = BinaryPrimitives.ReadUInt32LittleEndian(image.AsSpan(row));
        bool isNested = (TypeAttributes)(flags & (uint)TypeAttributes.VisibilityMask) is not (TypeAttributes.NotPublic or TypeAttributes.Public);
        uint visibility = (uint)(isNested ? TypeAttributes.NestedPublic : TypeAttributes.Public);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(row), (flags & ~(uint)TypeAttributes.VisibilityMask) | visibility);
    }
    foreach (int row in Rows(TableIndex.MethodDef)) MakePublic(row + 6);
    foreach (int row in Rows(TableIndex.Field)) MakePublic(row);

    IEnumerable<int> Rows(TableIndex table) =>
        Enumerable.Range(0, metadata.GetTableRowCount(table)).Select(r => start + metadata.GetTableMetadataOffset(table) + (r * metadata.GetTableRowSize(table)));
}
Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(args[1]))!);
File.WriteAllBytes(args[1], image);
return 0;

void MakePublic(int at)
{
    ushort flags = BinaryPrimitives.ReadUInt16LittleEndian(image.AsSpan(at));
    // Members of methods and fields have the same visibility bits. What is protected and internal stays protected, so that it can be overridden.
    MethodAttributes? visibility = (MethodAttributes)(flags & (ushort)MethodAttributes.MemberAccessMask) switch
    {
        MethodAttributes.Assembly => MethodAttributes.Public,
        MethodAttributes.FamANDAssem or MethodAttributes.FamORAssem => MethodAttributes.Family,
        _ => null,
    };
    if (visibility is { } v) BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(at), (ushort)((flags & ~(ushort)MethodAttributes.MemberAccessMask) | (ushort)v));
}
