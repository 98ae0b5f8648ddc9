using System.Collections.Immutable;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace MLNet.Quantization.Tests.Architecture;

/// <summary>
/// Which types of an assembly use which others of it: as base, interface, constraint, attribute, in the signature of a field, method or
/// local, as a caught exception, or by a token in a method's body.
/// </summary>
internal sealed class TypeReferences : ISignatureTypeProvider<int, int>
{
    private static readonly Dictionary<int, OpCode> OpCodesByValue = typeof(OpCodes).GetFields().Select(f => (OpCode)f.GetValue(null)!).ToDictionary(o => (int)(ushort)o.Value);

    private readonly PEReader _file;
    private readonly MetadataReader _reader;
    private HashSet<TypeDefinitionHandle> _found = [];

    private TypeReferences(PEReader file)
    {
        _file = file;
        _reader = file.GetMetadataReader();
    }

    /// <summary>Pairs of full names; a nested type stands as the one around it.</summary>
    public static IReadOnlyList<(string User, string Used)> Of(string assemblyPath)
    {
        using var file = new PEReader(File.OpenRead(assemblyPath));
        return new TypeReferences(file).All();
    }

    private List<(string, string)> All()
    {
        var result = new HashSet<(string, string)>();
        foreach (var handle in _reader.TypeDefinitions)
        {
            _found = [];
            AddType(_reader.GetTypeDefinition(handle));
            foreach (var used in _found) result.Add((NameOf(handle), NameOf(used)));
        }
        return [.. result.Where(r => r.Item1 != r.Item2).Order()];
    }

    private string NameOf(TypeDefinitionHandle handle)
    {
        var type = _reader.GetTypeDefinition(handle);
        return type.IsNested ? NameOf(type.GetDeclaringType()) : $"{_reader.GetString(type.Namespace)}.{_reader.GetString(type.Name)}";
    }

    private void AddType(TypeDefinition type)
    {
        Add(type.BaseType);
        foreach (var i in type.GetInterfaceImplementations()) Add(_reader.GetInterfaceImplementation(i).Interface);
        AddParameters(type.GetGenericParameters());
        AddAttributes(type.GetCustomAttributes());
        foreach (var handle in type.GetFields())
        {
            Add(handle);
            AddAttributes(_reader.GetFieldDefinition(handle).GetCustomAttributes());
        }
        foreach (var handle in type.GetProperties()) AddAttributes(_reader.GetPropertyDefinition(handle).GetCustomAttributes());
        foreach (var handle in type.GetMethods()) AddMethod(handle);
    }

    private void AddMethod(MethodDefinitionHandle handle)
    {
        Add(handle);
        var method = _reader.GetMethodDefinition(handle);
        AddParameters(method.GetGenericParameters());
        AddAttributes(method.GetCustomAttributes());
        foreach (var parameter in method.GetParameters()) AddAttributes(_reader.GetParameter(parameter).GetCustomAttributes());
        if (method.RelativeVirtualAddress == 0) return;
        var body = _file.GetMethodBody(method.RelativeVirtualAddress);
        if (!body.LocalSignature.IsNil) Add(body.LocalSignature);
        foreach (var region in body.ExceptionRegions) Add(region.CatchType);
        AddTokens(body.GetILReader());
    }

    private void AddTokens(BlobReader il)
    {
        while (il.RemainingBytes > 0)
        {
            int value = il.ReadByte();
            if (value == 0xfe) value = value << 8 | il.ReadByte();
            switch (OpCodesByValue[value].OperandType)
            {
                case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineSig or OperandType.InlineTok or OperandType.InlineType:
                    Add(MetadataTokens.EntityHandle(il.ReadInt32()));
                    break;
                case OperandType.InlineSwitch:
                    int targets = il.ReadInt32();
                    il.Offset += 4 * targets;
                    break;
                case var operand:
                    il.Offset += SizeOf(operand);
                    break;
            }
        }
    }

    private static int SizeOf(OperandType operand) => operand switch
    {
        OperandType.InlineNone => 0,
        OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        OperandType.InlineI8 or OperandType.InlineR => 8,
        _ => 4,
    };

    private void AddParameters(GenericParameterHandleCollection parameters)
    {
        foreach (var handle in parameters)
            foreach (var constraint in _reader.GetGenericParameter(handle).GetConstraints())
                Add(_reader.GetGenericParameterConstraint(constraint).Type);
    }

    private void AddAttributes(CustomAttributeHandleCollection attributes)
    {
        foreach (var handle in attributes) Add(_reader.GetCustomAttribute(handle).Constructor);
    }

    private void Add(EntityHandle handle)
    {
        if (handle.IsNil) return;
        switch (handle.Kind)
        {
            case HandleKind.TypeDefinition:
                _found.Add((TypeDefinitionHandle)handle);
                break;
            case HandleKind.TypeSpecification:
                _reader.GetTypeSpecification((TypeSpecificationHandle)handle).DecodeSignature(this, 0);
                break;
            case HandleKind.FieldDefinition:
                var field = _reader.GetFieldDefinition((FieldDefinitionHandle)handle);
                Add(field.GetDeclaringType());
                field.DecodeSignature(this, 0);
                break;
            case HandleKind.MethodDefinition:
                var method = _reader.GetMethodDefinition((MethodDefinitionHandle)handle);
                Add(method.GetDeclaringType());
                method.DecodeSignature(this, 0);
                break;
            case HandleKind.MemberReference:
                var member = _reader.GetMemberReference((MemberReferenceHandle)handle);
                Add(member.Parent);
                if (member.GetKind() == MemberReferenceKind.Field) member.DecodeFieldSignature(this, 0);
                else member.DecodeMethodSignature(this, 0);
                break;
            case HandleKind.MethodSpecification:
                var generic = _reader.GetMethodSpecification((MethodSpecificationHandle)handle);
                Add(generic.Method);
                generic.DecodeSignature(this, 0);
                break;
            case HandleKind.StandaloneSignature:
                var signature = _reader.GetStandaloneSignature((StandaloneSignatureHandle)handle);
                if (signature.GetKind() == StandaloneSignatureKind.LocalVariables) signature.DecodeLocalSignature(this, 0);
                else signature.DecodeMethodSignature(this, 0);
                break;
        }
    }

    // The decoder walks a signature and calls these; only the types that it names are of interest.

    int ISimpleTypeProvider<int>.GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind)
    {
        _found.Add(handle);
        return 0;
    }

    int ISignatureTypeProvider<int, int>.GetTypeFromSpecification(MetadataReader reader, int context, TypeSpecificationHandle handle, byte rawTypeKind)
    {
        Add(handle);
        return 0;
    }

    int ISimpleTypeProvider<int>.GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => 0;

    int ISimpleTypeProvider<int>.GetPrimitiveType(PrimitiveTypeCode typeCode) => 0;

    int ISZArrayTypeProvider<int>.GetSZArrayType(int elementType) => 0;

    int IConstructedTypeProvider<int>.GetArrayType(int elementType, ArrayShape shape) => 0;

    int IConstructedTypeProvider<int>.GetByReferenceType(int elementType) => 0;

    int IConstructedTypeProvider<int>.GetGenericInstantiation(int genericType, ImmutableArray<int> typeArguments) => 0;

    int IConstructedTypeProvider<int>.GetPointerType(int elementType) => 0;

    int ISignatureTypeProvider<int, int>.GetFunctionPointerType(MethodSignature<int> signature) => 0;

    int ISignatureTypeProvider<int, int>.GetGenericMethodParameter(int context, int index) => 0;

    int ISignatureTypeProvider<int, int>.GetGenericTypeParameter(int context, int index) => 0;

    int ISignatureTypeProvider<int, int>.GetModifiedType(int modifier, int unmodifiedType, bool isRequired) => 0;

    int ISignatureTypeProvider<int, int>.GetPinnedType(int elementType) => 0;
}
